/* succession.h - going on from a copy: what a primary's store must say before it is one.
 *
 * A copy (a backup, an agent's store) may lack the last changes of the primary it was made of, and
 * hosts may have them. So in every environment a new epoch begins, which hosts follow wherever they
 * stand; in one transaction, so that no crash leaves a store that numbers on in the old one.
 */
#ifndef PRIMARY_SUCCESSION_H
#define PRIMARY_SUCCESSION_H

#include "base/sign.h"
#include "store/store.h"

/* Begin a new epoch in every environment of `s`, and make it a primary's store. `message` is said in
 * the log, `key` (NULL: none) signs that. *ret_count: environments. */
MUST_USE enum hoist_err succession_begin(struct store *s, const struct sign_key *key,
                                         const char *message, uint32_t *ret_count);

/* The same for a store that a follower kept, as a primary starts on it; else nothing. Where `key` is
 * `trusted` by hosts, what is there must be its own (EINVAL): it would vouch for all of it. */
MUST_USE enum hoist_err succession_take_over(struct store *s, const struct sign_key *key,
                                             bool trusted);

/*
 * A new primary's store in `dir` from the backup `fd`; it has a new epoch before anything leads to
 * it. What was recovered is looked at (store_check()), and faults are logged: with any it is
 * refused (ECORRUPT), unless `force`. `key` (NULL: none) signs the epochs; what it has not signed
 * before is refused (EINVAL), unless `force`. Errors as store_recover_begin().
 */
MUST_USE enum hoist_err succession_recover(const char *dir, int fd, const struct sign_key *key,
                                           bool force, struct store_backup_info *ret);

#endif
