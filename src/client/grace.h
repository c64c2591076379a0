/* grace.h - when may what was published be freed: liburcu's "bulletproof" flavour.
 *
 * It asks no thread to register, and so suits a library in somebody else's program. Between enter
 * and leave, what a reader has found stays; grace_wait() returns when all who were between the two
 * have left. Only the library's own thread waits; call_rcu() is not used, as its thread would not
 * survive a fork.
 */
#ifndef CLIENT_GRACE_H
#define CLIENT_GRACE_H

#include <urcu/urcu-bp.h>

/* liburcu orders memory by a system call that the thread sanitizer cannot see. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GRACE_TSAN 1
#endif
#endif

#ifdef GRACE_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char grace_order;
#define grace_say_left() __tsan_release(&grace_order)
#define grace_see_left() __tsan_acquire(&grace_order)
#else
#define grace_say_left() ((void)0)
#define grace_see_left() ((void)0)
#endif

static inline void grace_enter(void)
{
    urcu_bp_read_lock();
}

static inline void grace_leave(void)
{
    grace_say_left();
    urcu_bp_read_unlock();
}

static inline void grace_wait(void)
{
    urcu_bp_synchronize_rcu();
    grace_see_left();
}

#endif
