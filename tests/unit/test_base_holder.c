#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/holder.h"

/* A socket at a free port of the loopback, and the port. */
static int bound(int family, uint16_t *ret_port)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool v4 = family == AF_INET;
    struct sockaddr *a = v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6;
    socklen_t len = v4 ? sizeof a4 : sizeof a6;
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, a, len) != 0 || getsockname(fd, a, &len) != 0) {
        close(fd);
        return -1;
    }
    *ret_port = ntohs(v4 ? a4.sin_port : a6.sin6_port);
    return fd;
}

static void assert_holds(uint16_t port)
{
    char text[HOLDER_SIZE], self[32];
    holder_of_port(text, port);
    snprintf(self, sizeof self, "(pid %d)", getpid());
    if (strncmp(text, "held by test_base_holde", 23) != 0 || !strstr(text, self))
        fail_msg("said: %s", text);
}

static void whoever_listens_is_named(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = bound(AF_INET, &port);
    assert_true(fd >= 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_holds(port);
    close(fd);
}

static void whoever_listens_on_ipv6_is_named(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = bound(AF_INET6, &port);
    if (fd < 0)
        skip(); /* a machine without IPv6 */
    assert_int_equal(listen(fd, 1), 0);
    assert_holds(port);
    close(fd);
}

static void nobody_is_named_when_nobody_listens(void **state)
{
    (void)state;
    char text[HOLDER_SIZE] = "old";
    uint16_t port = 0;
    int fd = bound(AF_INET, &port); /* bound, but not listening */
    assert_true(fd >= 0);
    holder_of_port(text, port);
    assert_string_equal(text, "");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_listens_is_named),
        cmocka_unit_test(whoever_listens_on_ipv6_is_named),
        cmocka_unit_test(nobody_is_named_when_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
