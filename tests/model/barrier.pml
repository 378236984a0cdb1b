/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.pml - the barrier of src/sync/barrier.c: figures under a lock, sleepers, a reaper, and death between any two steps.
 *
 * The lock is taken, and taken over, in one step (lock.pml).  Two parties meet for three rounds, and may once
 * run out of time or abort it; who finds it broken goes home.  The reaper dies too, and another one begins again.
 *
 * Holds:   who leaves a round that did not fail was one of two; when nothing moves any more, nobody waits for a party that
 *          has died: it was one from the first time it came under the lock.
 * Checked: with -DNO_BREAK (an heir of the lock breaks nothing) and with -DNO_LOST (the reaper does not say that a party was
 *          lost) it must fail; run.sh does both.
 */
#define N 2
#define PARTIES 2
#define ROUNDS 3
#define DEATHS 2
#define TURNS 12

byte mortal; /* how many may die in this run */
byte owner; /* of the lock: 0 free, else process + 1 */
byte turn, waiting, deaths;
bool broken, lost, was_counted; /* ghost: a party died */
bool failed[TURNS], member[N], dead[N], reaped[N], asleep[N];
byte came[TURNS]; /* ghost: who came under the lock and was counted */

#define GONE(id) (id != 0 && dead[id - 1])

#define MAY_DIE if :: deaths < mortal -> goto dies :: skip fi

inline turn_ends(how)
{
        failed[turn] = how;
        MAY_DIE;
        waiting = 0;
        MAY_DIE;
        turn++;
        MAY_DIE
}

inline breaks()
{
        if
        :: !broken -> broken = true; MAY_DIE; turn_ends(true)
        :: broken
        fi
}

inline enter()
{
        atomic { owner == 0 || GONE(owner) -> heir = (owner != 0); owner = me + 1 }
        MAY_DIE;
#ifndef NO_BREAK
        if
        :: heir -> broken = false; MAY_DIE
        :: !heir
        fi;
#else
        heir = false;
#endif
        if
        :: heir || lost -> breaks(); lost = false; MAY_DIE
        :: !heir && !lost
        fi
}

proctype party(byte me)
{
        byte round, mine;
        bool heir, late;
        do
        :: round == ROUNDS -> break
        :: round > 0 && round < ROUNDS -> enter(); breaks(); owner = 0; break /* abort */
        :: round < ROUNDS ->
                enter();
                member[me] = true;
                MAY_DIE;
                mine = turn;
                if
                :: broken -> owner = 0; break
                :: !broken && waiting + 1 == PARTIES -> came[mine] = came[mine] + 1; turn_ends(false); owner = 0
                :: !broken && waiting + 1 < PARTIES ->
                        atomic { waiting++; came[mine] = came[mine] + 1 }
                        MAY_DIE;
                        owner = 0;
                        asleep[me] = true;
end_waits:              do
                        :: turn != mine -> break
                        :: atomic { turn == mine && (lost || GONE(owner)) -> skip } enter(); owner = 0
                        :: !late -> late = true; enter(); if :: turn == mine -> breaks() :: turn != mine fi; owner = 0 /* its time is over */
                        :: deaths < mortal -> goto dies
                        od;
                        asleep[me] = false
                fi;
                if
                :: failed[mine] -> break
                :: !failed[mine] -> assert(came[mine] == PARTIES)
                fi;
                round++
        od;
        goto ends;
dies:   atomic { deaths++; dead[me] = true; asleep[me] = false; was_counted = was_counted || member[me] }
ends:   skip
}

#define REAP(i) atomic { dead[i] && !reaped[i] -> who = i }

active proctype reaper()
{
        byte who;
again:  do
        :: REAP(0) break
        :: REAP(1) break
        :: timeout -> goto done
        od;
        if
        :: member[who] ->
#ifndef NO_LOST
                lost = true;
#endif
                MAY_DIE;
                member[who] = false
        :: !member[who]
        fi;
        MAY_DIE;
        reaped[who] = true;
        goto again;
dies:   deaths++;
        goto again;
        /* one may be left over when all others have done their rounds, but not if somebody died who had been counted */
done:   assert(!(asleep[0] || asleep[1]) || !was_counted);
end:    false
}

init
{
        if :: mortal = 0 :: mortal = 1 :: mortal = DEATHS fi;
        atomic { run party(0); run party(1) }
}
