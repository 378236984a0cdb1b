/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the command `skep`: look after named hives and shared memory.
 *
 * The first word is the verb; options of a verb follow it.  Exit codes: 0 all is well, 1 a problem was found or the verb
 * failed, 2 the command line was wrong.
 */
#include "cli.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum needs { NAME_NEVER, NAME_MAYBE, NAME_ALWAYS };

struct verb {
        const char *word;
        enum cli_exit (*run)(const struct cli_arguments *arguments);
        enum needs name;
        const struct argp_option *options;
        const char *doc;
};

static const struct argp_option json_options[] = {
        { .name = "json", .key = 'j', .doc = "Print JSON for programs instead of text for people" },
        { 0 },
};

static const struct argp_option reap_options[] = {
        { .name = "json", .key = 'j', .doc = "Print JSON for programs instead of text for people" },
        { .name = "left", .key = 'l', .doc = "Without NAME: also the names that were left to a hive. Only while none of your programs uses skep" },
        { 0 },
};

static const struct argp_option no_options[] = { { 0 } };

static const struct verb verbs[] = {
        { "ls", cli_ls, NAME_MAYBE, json_options,
          "List the named hives of this machine that you may see; or, given the NAME of one, its figures and its objects: value, holder, waiters." },
        { "verify", cli_verify, NAME_ALWAYS, json_options,
          "Check every structure of the hive NAME and change nothing. Exit code 1 if a problem was found. Exact only while no member "
          "is at work." },
        { "reap", cli_reap, NAME_MAYBE, reap_options,
          "Recover what dead members of the hive NAME held. Blocked calls of the living do this themselves; here it is done at once. "
          "Without NAME remove the names of your shared memory that nobody uses, as whole programs that were killed leave them." },
        { "rm", cli_rm, NAME_ALWAYS, no_options,
          "Remove the name of the hive NAME. Its memory goes with its last member; living members go on." },
};

struct command_line {
        const struct verb *verb;
        struct cli_arguments arguments;
};

/* Must override the C library's, so it may not be hidden. */
SKEP_API const char *argp_program_version = "skep " SKEP_VERSION;

static error_t parse_verb_option(int key, char *argument, struct argp_state *state)
{
        struct command_line *line = state->input;

        switch (key) {
        case 'j':
                line->arguments.json = true;
                return 0;
        case 'l':
                line->arguments.left = true;
                return 0;
        case ARGP_KEY_ARG:
                if (state->arg_num || line->verb->name == NAME_NEVER)
                        argp_error(state, "too many arguments, beginning with '%s'", argument);
                line->arguments.name = argument;
                return 0;
        case ARGP_KEY_END:
                if (line->verb->name == NAME_ALWAYS && !line->arguments.name)
                        argp_error(state, "which hive? Give its NAME; `skep ls` lists them");
                if (line->arguments.left && line->arguments.name)
                        argp_error(state, "--left goes without a NAME");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

/* The words from the verb on are a command line of their own, whose program is called "skep VERB". */
static void parse_verb(struct command_line *line, int count, char **words)
{
        static const char *const arguments_doc[] = { [NAME_NEVER] = NULL, [NAME_MAYBE] = "[NAME]", [NAME_ALWAYS] = "NAME" };
        struct argp argp = { .options = line->verb->options,
                             .parser = parse_verb_option,
                             .args_doc = arguments_doc[line->verb->name],
                             .doc = line->verb->doc };
        static char program[32];

        (void)snprintf(program, sizeof(program), "skep %s", line->verb->word);
        words[0] = program;
        argp_parse(&argp, count, words, 0, NULL, line);
}

static const struct verb *verb_find(const char *word)
{
        for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
                if (!strcmp(verbs[i].word, word))
                        return &verbs[i];
        return NULL;
}

static error_t parse_command(int key, char *argument, struct argp_state *state)
{
        struct command_line *line = state->input;

        switch (key) {
        case ARGP_KEY_ARG:
                line->verb = verb_find(argument);
                if (!line->verb)
                        argp_error(state, "there is no verb '%s'", argument);
                parse_verb(line, state->argc - state->next + 1, &state->argv[state->next - 1]);
                state->next = state->argc;
                return 0;
        case ARGP_KEY_NO_ARGS:
                argp_usage(state);
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static const struct argp command = {
        .parser = parse_command,
        .args_doc = "VERB [NAME]",
        .doc = "Look after the named shared-memory hives of this machine.\v"
               "Verbs:\n"
               "  ls [NAME]      list hives, or what is in one\n"
               "  verify NAME    check a hive, change nothing\n"
               "  reap [NAME]    recover what dead members held, or remove names of shared memory that nobody uses\n"
               "  rm NAME        remove the name of a hive\n"
               "\n"
               "`skep VERB --help` says more. Exit codes: 0 all is well, 1 a problem was found, 2 wrong usage.",
};

/* --- what the verbs share ----------------------------------------------------------------------------------------- */

static const char *advice(int result)
{
        switch (result) {
        case -ENOENT:
                return "`skep ls` lists the hives there are";
        case -EACCES:
                return "it belongs to another user, who alone can look at it";
        case -EPROTO:
                return "it was made by another version of skep; use that one, or `skep rm` when nobody needs it any more";
        case -EBADMSG:
                return "stop its users, then remove it with `skep rm`";
        case -EUSERS:
                return "all its places for members are taken; stop one of them";
        case -ENAMETOOLONG:
        case -EINVAL:
                return "a name has 1 to 63 bytes and no slash";
        default:
                return NULL;
        }
}

enum cli_exit cli_complain(const char *name, int result)
{
        const char *hint = advice(result);

        fprintf(stderr, "skep: %s: %s%s%s\n", name, skep_strerror(result), hint ? "; " : "", hint ? hint : "");
        return result == -EINVAL || result == -ENAMETOOLONG ? CLI_USAGE : CLI_PROBLEM;
}

enum cli_exit cli_open(const char *name, skep_hive **ret_hive)
{
        int r = skep_hive_open(name, ret_hive);

        return r ? cli_complain(name, r) : CLI_OK;
}

enum cli_exit cli_print_json(json_t *value_take)
{
        int r = value_take ? json_dumpf(value_take, stdout, JSON_INDENT(2)) : -1;

        json_decref(value_take);
        if (r)
                fprintf(stderr, "skep: cannot write JSON: out of memory, or the output is closed\n");
        else
                (void)putchar('\n');
        return r ? CLI_PROBLEM : CLI_OK;
}

const char *cli_size(uint64_t bytes, char text[CLI_SIZE_TEXT])
{
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
        double value = (double)bytes / 1024;
        size_t unit = 0;

        if (bytes < 1024) {
                (void)snprintf(text, CLI_SIZE_TEXT, "%d B", (int)bytes);
                return text;
        }
        for (; value >= 1024 && unit < 3; unit++)
                value /= 1024;
        (void)snprintf(text, CLI_SIZE_TEXT, "%.1f %s", value, units[unit]);
        return text;
}

int main(int argc, char **argv)
{
        struct command_line line = { 0 };
        enum cli_exit code;

        argp_err_exit_status = CLI_USAGE;
        argp_parse(&command, argc, argv, ARGP_IN_ORDER, NULL, &line);
        code = line.verb->run(&line.arguments);
        if (fflush(stdout)) {
                perror("skep: standard output");
                return CLI_PROBLEM;
        }
        return (int)code;
}
