/* role.h - the roles that somebody can have, and what each command takes. */
#ifndef ACCESS_ROLE_H
#define ACCESS_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum access_role {
    ACCESS_EVALUATOR,
    ACCESS_VIEWER,
    ACCESS_APPROVER,
    ACCESS_OPERATOR,
    ACCESS_EDITOR,
    ACCESS_ADMIN,
    ACCESS_ROLES
};

enum access_right {
    RIGHT_EVAL = 1 << 0,    /* what a flag yields, and what it is */
    RIGHT_READ = 1 << 1,    /* all else that can be asked */
    RIGHT_OPERATE = 1 << 2, /* kill, restore, roll back */
    RIGHT_EDIT = 1 << 3,
    RIGHT_APPROVE = 1 << 4,
    RIGHT_ADMIN = 1 << 5,
};

/* What a role has to be for: its environments and key prefixes are compared with … */
enum access_reach {
    REACH_NONE,  /* … nothing: whatever it is for will do */
    REACH_ENV,   /* … the command's environment */
    REACH_FLAGS, /* … that, and each flag that it asks for or changes */
    REACH_WHOLE, /* … that, and all of its flags */
    REACH_ALL,   /* … everything: it must be for all environments and flags */
};

struct access_need {
    const char *command; /* as it is named in a frame */
    enum access_right right;
    enum access_reach reach;
};

/* Ended by a NULL command. docs/security.md has the same table. */
extern const struct access_need access_needs[];

/* NULL: there is no such command. */
const struct access_need *access_need_of(struct slice command);

const char *access_role_name(enum access_role role);
/* EINVAL names them all. */
MUST_USE enum hoist_err access_role_read(struct slice name, enum access_role *ret);
bool access_role_has(enum access_role role, enum access_right right);
/* The least role that has it. */
enum access_role access_role_for(enum access_right right);

#endif
