/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.pml - the lock of src/sync/lock.c: one word, sleepers, wake-ups, and death between any two steps.
 *
 * A step is one atomic access to the word, or one system call.  A process may die after each; a sleeper may die asleep, and
 * with it the wake-up it was given.  The end of a slice matters only if the look that follows finds something, so it is
 * possible only then, and only after a death: without one, wake-ups alone must do.
 *
 * Holds:   mutual exclusion; who takes the lock of a dead one is told, and nobody else is; nobody sleeps for ever (no end state
 *          but the ends).
 * Checked: with -DNO_TAKEOVER (nobody takes a lock that names the dead) and with -DNO_WAITERS (who has slept takes the lock
 *          without WAITERS) it must fail; run.sh does both.
 */
#define N 3
#define ROUNDS 2
#define DEATHS 2
#ifdef NO_TAKEOVER
#define GONE(id) false
#else
#define GONE(id) (id != 0 && dead[id - 1])
#endif
#ifdef NO_WAITERS
#define LEAVES false
#else
#define LEAVES slept
#endif

byte mortal; /* how many may die in this run */
byte owner;   /* 0 free, else process + 1 */
bool waiters; /* together with owner: the word */
bool asleep[N], dead[N];
byte deaths, inside;
bool died_holding; /* the last owner died with it */

#define MAY_DIE if :: deaths < mortal -> goto dies :: skip fi

proctype process(byte me)
{
        byte round, seen;
        bool seen_waiters, slept, news, in;
        do
        :: round == ROUNDS -> break
        :: round < ROUNDS ->
                slept = false;
look:           atomic { seen = owner; seen_waiters = waiters }
                MAY_DIE;
                if
                :: atomic { seen == 0 || GONE(seen) ->
                        if
                        :: owner == seen && waiters == seen_waiters ->
                                news = (seen != 0); owner = me + 1; waiters = seen_waiters || LEAVES
                        :: else -> goto look
                        fi }
                :: atomic { else ->
                        if
                        :: owner == seen && waiters == seen_waiters -> waiters = true /* if it is not yet */
                        :: else -> goto look
                        fi }
                        MAY_DIE;
                        atomic { slept = true;
                        if
                        :: owner == seen && waiters -> asleep[me] = true
                        :: else -> goto look
                        fi }
                        if
                        :: !asleep[me]
                        :: atomic { asleep[me] && deaths > 0 && (owner == 0 || GONE(owner)) -> asleep[me] = false }
                        :: atomic { deaths < mortal -> asleep[me] = false; goto dies }
                        fi;
                        MAY_DIE; /* having swallowed a wake-up, maybe */
                        goto look
                fi;
                MAY_DIE;
                atomic { inside++; in = true; assert(inside == 1); assert(news == died_holding); died_holding = false }
                MAY_DIE;
                atomic { inside--; in = false }
                MAY_DIE;
                atomic { seen_waiters = waiters; owner = 0; waiters = false }
                MAY_DIE;
                if
                :: atomic { seen_waiters ->
                        if
                        :: asleep[0] -> asleep[0] = false
                        :: asleep[1] -> asleep[1] = false
                        :: asleep[2] -> asleep[2] = false
                        :: else
                        fi }
                :: else
                fi;
                round++
        od;
        goto ends;
dies:   atomic { deaths++; dead[me] = true; inside = inside - in; died_holding = died_holding || owner == me + 1 }
ends:   skip
}

init
{
        if :: mortal = 0 :: mortal = 1 :: mortal = DEATHS fi;
        atomic { run process(0); run process(1); run process(2) }
}
