#include "figures.h"

#include "base/buf.h"
#include "base/metrics.h"
#include "files.h"
#include "flag/peaks.h"
#include "wire/change.h"

enum { LABELS_MAX = 200 };

static uint64_t descriptors; /* that may be open */

static void set(const char *name, const char *help, const char *label, const char *of, double v)
{
    struct buf labels = BUF_INIT(LABELS_MAX);
    metric_label(&labels, label, of);
    metric_set(metric_series(METRIC_GAUGE, name, help, buf_str(&labels), NULL), v);
    buf_done(&labels);
}

void figures_init(enum role role)
{
    set("hoist_build_info", "1, with the version of the software.", "version", HOIST_VERSION, 1);
    set("hoist_role", "1, with the role that this hoistd plays.", "role", roles[role].name, 1);
}

static void set_limit(const char *limit, double used, double most)
{
    set("hoist_limit_ratio", "How much of a limit is used: 1 is all of it.", "limit", limit,
        most > 0 ? used / most : 0);
}

/* Of the flags that came since the start. */
static void set_flag_limits(void)
{
    struct flag_peaks peaks;
    flag_peaks_get(&peaks);
    set_limit("key_bytes", peaks.key_bytes, FLAG_KEY_MAX);
    set_limit("variants", peaks.variants, FLAG_VARIANTS_MAX);
    set_limit("rule_nodes", peaks.nodes, TREE_NODES_MAX);
    set_limit("rule_depth", peaks.depth, TREE_DEPTH_MAX);
}

static void update(void *arg)
{
    struct store_stats stats;
    store_stats(arg, &stats);
    set_limit("quota_bytes", (double)stats.record_bytes, (double)stats.quota_bytes);
    set_limit("map_bytes", (double)stats.used_bytes, (double)stats.map_bytes);
    set_limit("readers", stats.readers, stats.readers_max);
    metric_set(metric_series(METRIC_GAUGE, "hoist_store_check_seconds",
                             "What the check of the store took when it was opened.", "", NULL),
               (double)stats.check_ms / 1000);
    set_limit("env_flags", (double)stats.env_flags, (double)stats.env_flags_max);
    set_limit("flag_bytes", (double)stats.flag_bytes, FLAG_RECORD_MAX);
    set_limit("change_bytes", (double)stats.change_bytes, CHANGE_BYTES_MAX);
    set_flag_limits();
    set_limit("open_files", files_open(), (double)descriptors);
}

void figures_begin(struct store *store, uint64_t files)
{
    descriptors = files;
    metrics_on_write(update, store);
}

void figures_end(struct store *store)
{
    metrics_off_write(update, store);
}
