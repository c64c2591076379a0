/* The terminal of `flagctl top`, by the control sequences that every terminal of today has. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "top.h"

/* The other screen, no cursor, no wrapping; and back. */
static const char enter[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
static const char leave[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";

static struct termios before;
static bool has_keys; /* standard input is a terminal, and `before` is how it was */
static volatile sig_atomic_t is_entered;
static int signals[2] = {-1, -1}; /* a pipe: the numbers of those that came */

/* ------------------------------------------------------------------ signals */

static void note(int number)
{
    int kept = errno;
    uint8_t byte = (uint8_t)number;
    ssize_t n = write(signals[1], &byte, 1); /* full: enough of them are known */
    (void)n;
    errno = kept;
}

static void crash(int number)
{
    top_screen_leave();
    signal(number, SIG_DFL);
    raise(number);
}

static void on(int number, void (*handler)(int))
{
    struct sigaction a = {.sa_handler = handler}; /* without SA_RESTART: a write ends */
    sigaction(number, &a, NULL);
}

static void catch_signals(void)
{
    static const int noted[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT};
    static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++)
        on(noted[i], note);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        on(crashes[i], crash);
}

/* ------------------------------------------------------------------ the two screens */

/* Every letter as it is typed, and not shown; ^C and ^Z stay what they are. */
static void take_keys(void)
{
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void send(const char *sequence)
{
    ssize_t n = write(STDOUT_FILENO, sequence, strlen(sequence));
    (void)n; /* a terminal that is gone needs nothing */
}

static bool begin(void)
{
    if (pipe2(signals, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    catch_signals();
    atexit(top_screen_leave);
    return true;
}

bool top_screen_enter(void)
{
    if (signals[0] < 0 && !begin())
        return false;
    is_entered = 1;
    if (has_keys)
        take_keys();
    send(enter);
    return true;
}

/* Also from a handler: nothing but system calls. */
void top_screen_leave(void)
{
    if (!is_entered)
        return;
    is_entered = 0;
    send(leave);
    if (has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

void top_screen_size(size_t *ret_rows, size_t *ret_columns)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;
    *ret_rows = known ? size.ws_row : 24;
    *ret_columns = known ? size.ws_col : 80;
}

bool top_screen_write(struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = write(STDOUT_FILENO, bytes.ptr, bytes.len);
        if (n < 0)
            return false;
        bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return true;
}

/* ------------------------------------------------------------------ keys */

/* What stands behind an ESC [ or ESC O: a number, if any, and a letter or '~'. */
static enum top_key key_of(int number, char last)
{
    static const struct {
        int number;
        char last;
        enum top_key key;
    } keys[] = {{0, 'A', KEY_UP},        {0, 'B', KEY_DOWN}, {5, '~', KEY_PAGE_UP},
                {6, '~', KEY_PAGE_DOWN}, {0, 'H', KEY_HOME}, {1, '~', KEY_HOME},
                {7, '~', KEY_HOME},      {0, 'F', KEY_END},  {4, '~', KEY_END},
                {8, '~', KEY_END}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].number == number && keys[i].last == last)
            return keys[i].key;
    return KEY_NONE;
}

static enum top_key letter(char c)
{
    static const char letters[] = "qesp?";
    static const enum top_key keys[] = {KEY_QUIT, KEY_ENV, KEY_SORT, KEY_PAUSE, KEY_HELP};
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? keys[at - letters] : KEY_NONE;
}

/* One byte more: a key may come in pieces. */
static enum top_key take_byte(char c)
{
    static enum { PLAIN, ESCAPED, NUMBER } state;
    static int number;
    if (c == '\x1b') {
        state = ESCAPED;
    } else if (state == ESCAPED && (c == '[' || c == 'O')) {
        state = NUMBER;
        number = 0;
    } else if (state == NUMBER && ((c >= '0' && c <= '9') || c == ';')) {
        number = c == ';' ? 1000 : number < 1000 ? 10 * number + (c - '0') : number;
    } else if (state == NUMBER) {
        state = PLAIN;
        return key_of(number, c);
    } else {
        state = PLAIN;
        return letter(c);
    }
    return KEY_NONE;
}

static enum top_key read_key(void)
{
    char c;
    enum top_key key = KEY_NONE;
    while (key == KEY_NONE && read(STDIN_FILENO, &c, 1) == 1)
        key = take_byte(c);
    return key;
}

enum top_key top_screen_wait(int ready, int64_t ms, int *ret_signal)
{
    struct pollfd p[] = {{.fd = signals[0], .events = POLLIN},
                         {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN},
                         {.fd = ready, .events = POLLIN}};
    uint8_t number = 0;
    *ret_signal = 0;
    (void)poll(p, sizeof p / sizeof *p, ms > 0 ? (int)ms : 0);
    if (read(signals[0], &number, 1) == 1)
        *ret_signal = number;
    if (p[1].revents & (POLLHUP | POLLERR))
        *ret_signal = SIGHUP;
    /* Behind a signal that stopped us the terminal may not be ours yet, and a read would wait. */
    return *ret_signal == 0 && p[1].revents & POLLIN ? read_key() : KEY_NONE;
}
