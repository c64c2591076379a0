/* audit_proof.h - whether a change is one that its author's signed command asks for. Pure. */
#ifndef PRIMARY_AUDIT_PROOF_H
#define PRIMARY_AUDIT_PROOF_H

#include "wire/change.h"
#include "wire/statement.h"

/*
 * Whether `proof`, which holds, can be that of `c`: its command makes changes of that kind, and, where the
 * proof keeps the command's body, that is about this environment (if it names one), about each flag that
 * `c` edits and about the signing key that it certifies. What becomes of a flag is not compared.
 *
 * Errors:  ECORRUPT  it is the proof of something else; err_last() says of what
 *          ENOMEM
 */
MUST_USE enum hoist_err audit_proof_check(const struct proof *proof, const struct change *c);

#endif
