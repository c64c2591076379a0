#include "access/role.h"

/* clang-format off */
const struct access_need access_needs[] = {
    {"eval", RIGHT_EVAL, REACH_FLAGS},         {"get", RIGHT_EVAL, REACH_FLAGS},
    {"is", RIGHT_EVAL, REACH_FLAGS},           {"list", RIGHT_READ, REACH_ENV},
    {"export", RIGHT_READ, REACH_ENV},         {"log", RIGHT_READ, REACH_ENV},
    {"history", RIGHT_READ, REACH_ENV},        {"show", RIGHT_READ, REACH_ENV},
    {"diff", RIGHT_READ, REACH_ENV},           {"audit", RIGHT_READ, REACH_ENV},
    {"env_diff", RIGHT_READ, REACH_ENV},       {"env_show", RIGHT_READ, REACH_ENV},
    {"fleet", RIGHT_READ, REACH_ENV},          {"wait", RIGHT_READ, REACH_ENV},
    {"usage", RIGHT_READ, REACH_ENV},          {"stale", RIGHT_READ, REACH_ENV},
    {"envs", RIGHT_READ, REACH_NONE},          {"keys", RIGHT_READ, REACH_NONE},
    {"status", RIGHT_READ, REACH_NONE},        {"access_list", RIGHT_READ, REACH_ALL},
    {"access_denied", RIGHT_READ, REACH_ALL},  {"kill", RIGHT_OPERATE, REACH_FLAGS},
    {"restore", RIGHT_OPERATE, REACH_FLAGS},   {"rollback", RIGHT_OPERATE, REACH_FLAGS},
    {"set", RIGHT_EDIT, REACH_FLAGS},          {"target", RIGHT_EDIT, REACH_FLAGS},
    {"delete", RIGHT_EDIT, REACH_FLAGS},       {"apply", RIGHT_EDIT, REACH_FLAGS},
    {"promote", RIGHT_EDIT, REACH_FLAGS},      {"env_set", RIGHT_ADMIN, REACH_WHOLE},
    {"env_epoch", RIGHT_ADMIN, REACH_WHOLE},     {"env_create", RIGHT_ADMIN, REACH_ALL},
    {"release_start", RIGHT_EDIT, REACH_FLAGS}, {"release_sign", RIGHT_APPROVE, REACH_ENV},
    {"release_check", RIGHT_APPROVE, REACH_ENV}, {"release_note", RIGHT_APPROVE, REACH_ENV},
    {"release_hold", RIGHT_OPERATE, REACH_FLAGS}, {"release_resume", RIGHT_OPERATE, REACH_FLAGS},
    {"release_abort", RIGHT_OPERATE, REACH_FLAGS}, {"releases", RIGHT_READ, REACH_NONE},
    {"release_status", RIGHT_READ, REACH_NONE}, {"release_log", RIGHT_READ, REACH_NONE},
    {"release_plan", RIGHT_READ, REACH_NONE},
    {"host_retire", RIGHT_ADMIN, REACH_ALL},   {"key_rotate", RIGHT_ADMIN, REACH_ALL},
    {"key_revoke", RIGHT_ADMIN, REACH_ALL},    {"access_grant", RIGHT_ADMIN, REACH_ALL},
    {"access_revoke", RIGHT_ADMIN, REACH_ALL}, {"token_create", RIGHT_ADMIN, REACH_ALL},
    {"token_revoke", RIGHT_ADMIN, REACH_ALL},  {"top", RIGHT_READ, REACH_ENV},
    {0},
};
/* clang-format on */

enum { READER = RIGHT_EVAL | RIGHT_READ, OPERATOR = READER | RIGHT_OPERATE };

static const struct {
    const char *name;
    unsigned rights;
} roles[ACCESS_ROLES] = {
    [ACCESS_EVALUATOR] = {"evaluator", RIGHT_EVAL},
    [ACCESS_VIEWER] = {"viewer", READER},
    [ACCESS_APPROVER] = {"approver", READER | RIGHT_APPROVE},
    [ACCESS_OPERATOR] = {"operator", OPERATOR},
    [ACCESS_EDITOR] = {"editor", OPERATOR | RIGHT_EDIT},
    [ACCESS_ADMIN] = {"admin", OPERATOR | RIGHT_EDIT | RIGHT_APPROVE | RIGHT_ADMIN},
};

const struct access_need *access_need_of(struct slice command)
{
    for (const struct access_need *n = access_needs; n->command; n++)
        if (slice_eq(slice_str(n->command), command))
            return n;
    return NULL;
}

const char *access_role_name(enum access_role role)
{
    return roles[role].name;
}

enum hoist_err access_role_read(struct slice name, enum access_role *ret)
{
    for (int i = 0; i < ACCESS_ROLES; i++)
        if (slice_eq(slice_str(roles[i].name), name)) {
            *ret = (enum access_role)i;
            return HOIST_OK;
        }
    return err_set(HOIST_EINVAL,
                   "'%.*s' is no role: there are viewer, evaluator, operator, editor, approver and "
                   "admin",
                   SLICE_ARG(name));
}

bool access_role_has(enum access_role role, enum access_right right)
{
    return roles[role].rights & right;
}

enum access_role access_role_for(enum access_right right)
{
    int role = 0;
    while (!access_role_has((enum access_role)role, right))
        role++;
    return (enum access_role)role;
}
