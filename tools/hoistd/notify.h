/* notify.h - telling the service manager how far hoistd is, as sd_notify(3) lays it down: a
 * datagram to $NOTIFY_SOCKET. Without that variable nothing is sent. */
#ifndef HOISTD_NOTIFY_H
#define HOISTD_NOTIFY_H

#include <stdint.h>

/* Send `state`, such as "READY=1". A service manager that does not listen is no failure of ours. */
void notify(const char *state);

/* That it reads its settings anew; "READY=1" is to follow. */
void notify_reloading(void);

/* How often the watchdog wants to hear "WATCHDOG=1", in milliseconds; 0: not at all. */
int64_t notify_watchdog_ms(void);

#endif
