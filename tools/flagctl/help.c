/* help and completion, both made from the table. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "flagctl.h"

static int first_line(const char *text)
{
    return (int)strcspn(text, "\n");
}

static int help_all(void)
{
    puts("flagctl: ask and change feature flags\n\nusage: flagctl COMMAND …\n");
    for (const struct subcommand *s = subcommands; s->name; s++)
        printf("  %-12s%.*s\n", s->name, first_line(s->help), s->help);
    puts("\nflagctl help COMMAND tells more. Changes go to the primary; reads are answered by\n"
         "--store or --primary, else $HOIST_STORE, else $HOIST_PRIMARY, else the file\n"
         "~/.config/hoist/flagctl.yaml or /etc/hoist/flagctl.yaml, else this host's own store.\n"
         "Every command takes --json; most take --env NAME ($HOIST_ENV), changes -m MESSAGE.\n\n"
         "exit: 0 done or yes, 1 no or failed with nothing changed, 2 bad input, 3 moved on,\n"
         "4 over a limit, 5 refused, 6 done, but not on every live host, 7 no answer;\n"
         "of a release: 4 a check or guard failed, 10 it stands still, 11 it was taken back");
    return EXIT_DONE;
}

int run_help(struct call *c)
{
    if (c->word_count == 0)
        return help_all();
    const struct subcommand *sub = subcommand_find(c->words[0]);
    if (!sub)
        return show_failure(c, EXIT_INPUT, "input", "flagctl help lists them",
                            "there is no command '%s'", c->words[0]);
    struct option *table = subcommand_options(sub);
    struct buf text = BUF_INIT(64 << 10);
    if (table)
        options_help(table, &text);
    printf("usage: flagctl %s%s%s [OPTION…]\n\n%s\n\n%s", sub->name, *sub->usage ? " " : "",
           sub->usage, sub->help, buf_str(&text));
    buf_done(&text);
    mem_free(table);
    return EXIT_DONE;
}

/* ------------------------------------------------------------------ completion */

static void print_options(const struct subcommand *sub)
{
    struct option *table = subcommand_options(sub);
    printf("    %s) options='", sub->name);
    for (const struct option *o = table; o && o->name && o->help; o++)
        printf("%s%s%s", o == table ? "" : " ", o->name[1] ? "--" : "-", o->name);
    puts("' ;;");
    mem_free(table);
}

static const char script_begin[] =
    "# bash completion for flagctl, made by: flagctl completion bash\n"
    "_flagctl() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} options=\n"
    "  COMPREPLY=()\n"
    "  if ((COMP_CWORD == 1)); then\n"
    "    COMPREPLY=($(compgen -W '";

static const char script_middle[] = "' -- \"$cur\"))\n"
                                    "    return\n"
                                    "  fi\n"
                                    "  case $command in\n";

static const char script_end[] =
    "  esac\n"
    "  if [[ $cur == -* ]]; then\n"
    "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
    "    return\n"
    "  fi\n"
    "  case $command in\n"
    "    set | target | get | is | delete | kill | restore | history | usage)\n"
    "      ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W \"$(flagctl list --timeout 1s -- "
    "\"$cur\" 2>/dev/null | "
    "sed 's/ = .*//; s/: .*//')\" -- \"$cur\")) ;;\n"
    "    apply | import | diff | lint) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "    env) ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W 'list show create set diff epoch' -- "
    "\"$cur\")) ;;\n"
    "    release)\n"
    "      ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W 'lint plan guards announce simulate "
    "start "
    "list status watch log check sign hold resume abort note report' -- \"$cur\"))\n"
    "      ((COMP_CWORD == 3)) && COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "    host) ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W retire -- \"$cur\")) ;;\n"
    "    completion) COMPREPLY=($(compgen -W bash -- \"$cur\")) ;;\n"
    "  esac\n"
    "  return 0\n"
    "}\n"
    "complete -o default -F _flagctl flagctl\n";

int run_completion(struct call *c)
{
    if (strcmp(c->words[0], "bash") != 0)
        return show_failure(c, EXIT_INPUT, "input", "flagctl completion bash",
                            "there is a completion for bash alone, not for '%s'", c->words[0]);
    fputs(script_begin, stdout);
    for (const struct subcommand *s = subcommands; s->name; s++)
        printf("%s%s", s == subcommands ? "" : " ", s->name);
    fputs(script_middle, stdout);
    for (const struct subcommand *s = subcommands; s->name; s++)
        print_options(s);
    fputs(script_end, stdout);
    return EXIT_DONE;
}
