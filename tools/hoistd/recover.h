/* recover.h - hoistd recover: a primary's store from a backup. */
#ifndef HOISTD_RECOVER_H
#define HOISTD_RECOVER_H

extern const char recover_what[]; /* one line */

/* Without the program's and the command's name. Gives the exit code. */
int recover_main(int argc, char **argv);

#endif
