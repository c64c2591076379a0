/* files.h - how many files this process has open, and that it says so when there can be no more. */
#ifndef HOISTD_FILES_H
#define HOISTD_FILES_H

#include <stdint.h>

/* So many are open now; 0: not to be known. */
uint32_t files_open(void);

/* Called from time to time: logs when no file can be opened, once a minute, and when one can again. */
void files_watch(int64_t now_ms, uint64_t limit);

#endif
