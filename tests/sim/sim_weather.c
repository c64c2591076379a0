/* sim_weather.c - what goes wrong, by the dice: on the way, and with the nodes. */
#include <string.h>

#include "sim.h"

enum { HOUR_MS = 3600000, DOWN_MS = 4000 };

static void start_later(struct sim_node *n)
{
    sim_put((struct sim_event){
        .kind = SIM_START, .at = 1 + sim_dice(DOWN_MS), .node = n->index, .life = n->life});
}

static void trouble_host(struct sim_node *n)
{
    if (!n->up)
        return;
    if (sim_chance(60))
        copy_take(n);
    if (sim_chance(30)) {
        sim.figures.restarts++;
        host_stop(n);
    } else if (sim_chance(40)) {
        sim.figures.crashes++;
        host_crash(n, sim_chance(500));
    } else {
        return;
    }
    start_later(n);
}

static void trouble_primary(void)
{
    if (sim_chance(40))
        primary_restart();
    if (sim_chance(20))
        copy_take(&sim.nodes[SIM_PRIMARY]);
    if (sim_chance(8))
        primary_take_over();
    else if (sim_chance(5))
        primary_fork();
}

static void trouble_rogue(void)
{
    if (sim.nodes[SIM_ROGUE].up ? sim_chance(60) : sim_chance(150)) {
        rogue_end();
        rogue_begin();
    } else if (sim_chance(60)) {
        rogue_end();
    }
}

static void cut_links(void)
{
    memset(sim.cut, 0, sizeof sim.cut);
    for (uint32_t i = 0; i < SIM_NODES; i++)
        for (uint32_t k = 0; k < i; k++)
            if (sim_chance(60)) {
                sim.cut[i][k] = true;
                sim.figures.cut++;
            }
}

void weather_change(void)
{
    struct sim_weather *w = &sim.weather;
    w->lose = sim_chance(500) ? sim_dice(300) : 0;
    w->twice = sim_dice(100);
    w->truncate = sim_chance(200) ? sim_dice(60) : 0;
    w->mangle = sim_chance(200) ? sim_dice(60) : 0;
    w->late_ms = sim_chance(500) ? 1 + sim_dice(400) : 1 + sim_dice(5);
    cut_links();
    trouble_primary();
    trouble_rogue();
    for (uint32_t i = 1; i <= SIM_HOSTS; i++)
        trouble_host(&sim.nodes[i]);
    if (sim_chance(50)) {
        struct sim_node *n = &sim.nodes[1 + sim_dice(SIM_HOSTS)];
        n->skew_ms = ((int64_t)sim_dice(3) - 1) * HOUR_MS;
    }
}

/* Everything works from here on, but for the one that lies, which goes on lying for a while. */
void weather_heal(void)
{
    sim.weather = (struct sim_weather){.late_ms = 3};
    memset(sim.cut, 0, sizeof sim.cut);
}
