/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition.pml - the condition of src/sync/condition.c: wait words of the agents, notifiers, a reaper, and death between any
 * two steps.
 *
 * Consumers wait for items, producers make them, under one lock, which lock.pml is about: here it is taken, and taken over, in
 * one step.  To others the dead look alive while somebody reaps them.  The reaper dies too, and another one begins again.  It
 * stands for all who reap, so it may come at any time.
 *
 * Holds:   no notification is lost: when nothing moves any more, no living consumer waits while there is an item.
 * Checked: with -DNO_PASS_ON (the reaper drops what the dead had been told), -DPLAIN_STORE (it clears the word without looking
 *          whether it changed meanwhile) and -DNO_LOOK (no waiter looks at the lock of a dead holder) it must fail; run.sh does
 *          all three.
 */
#define CONSUMERS 2
#define N 4 /* with two producers */
#define DEATHS 2
#define NOBODY N

mtype = { IDLE, WAITING, NOTIFIED };
mtype word[CONSUMERS] = IDLE;
byte mortal; /* how many may die in this run */
byte ticket[CONSUMERS];
byte tickets, deaths, items;
byte owner; /* of the lock: 0 free, else process + 1 */
bool dead[N], reaped[CONSUMERS], reaping[CONSUMERS];

#define GONE(id) (id != 0 && dead[id - 1])
#define WAITS(i) (word[i] == WAITING && (!dead[i] || reaping[i]))
#define FIRST(i) (WAITS(i) && (found == NOBODY || ticket[i] < ticket[found]))

#define MAY_DIE if :: deaths < mortal -> goto dies :: skip fi

/* Looking is one step, the compare-and-swap another. */
inline notify_first()
{
        do
        :: atomic {
                found = NOBODY;
                if :: FIRST(0) -> found = 0 :: else fi;
                if :: FIRST(1) -> found = 1 :: else fi }
           MAY_DIE;
           if
           :: found == NOBODY -> break
           :: atomic { found != NOBODY && word[found] == WAITING -> word[found] = NOTIFIED } break
           :: atomic { found != NOBODY && word[found] != WAITING -> skip }
           fi
        od;
        found = NOBODY;
        MAY_DIE
}

inline take()
{
        atomic { owner == 0 || GONE(owner) -> told = told || owner != 0; owner = me + 1 }
}

proctype consumer(byte me)
{
        byte found = NOBODY;
        bool told;
        take();
        do
        :: items > 0 -> break
        :: items == 0 ->
                MAY_DIE;
                atomic { word[me] = WAITING; ticket[me] = tickets; tickets++ }
                MAY_DIE;
                owner = 0;
end_waits:      if
                :: word[me] != WAITING -> MAY_DIE; take()
#ifndef NO_LOOK
                :: atomic { GONE(owner) -> owner = me + 1; told = true }
#endif
                :: deaths < mortal -> goto dies
                fi;
                MAY_DIE;
                word[me] = IDLE;
                if /* a dead holder may have changed something and told nobody */
                :: told -> notify_first(); notify_first(); told = false
                :: !told
                fi
        od;
        MAY_DIE;
        items--;
        MAY_DIE;
        if
        :: told -> notify_first(); notify_first()
        :: !told
        fi;
        owner = 0;
        goto ends;
dies:   atomic { deaths++; dead[me] = true }
ends:   skip
}

proctype producer(byte me)
{
        byte found = NOBODY;
        bool told;
        take();
        MAY_DIE;
        items++;
        MAY_DIE;
        notify_first();
        if
        :: told -> notify_first(); notify_first()
        :: !told
        fi;
        owner = 0;
        goto ends;
dies:   atomic { deaths++; dead[me] = true }
ends:   skip
}

#define REAP(i) atomic { dead[i] && !reaped[i] -> who = i; reaping[i] = true }

active proctype reaper()
{
        byte found, who;
        mtype seen;
again:  found = NOBODY;
        do
        :: REAP(0) break
        :: REAP(1) break
        :: timeout -> goto done
        od;
        seen = word[who];
        do
        :: seen == IDLE -> break
        :: seen != IDLE ->
                if
#ifndef NO_PASS_ON
                :: seen == NOTIFIED -> notify_first()
#else
                :: seen == NOTIFIED -> MAY_DIE
#endif
                :: seen == WAITING -> MAY_DIE
                fi;
#ifdef PLAIN_STORE
                word[who] = IDLE;
                break
#else
                if
                :: atomic { word[who] == seen -> word[who] = IDLE } break
                :: atomic { word[who] != seen -> seen = word[who] }
                fi
#endif
        od;
        MAY_DIE;
        atomic { reaped[who] = true; reaping[who] = false }
        goto again;
dies:   atomic { deaths++; reaping[who] = false }
        goto again;
done:   assert(items == 0 || !(word[0] == WAITING && !dead[0] || word[1] == WAITING && !dead[1]));
end:    false
}

init
{
        if :: mortal = 0 :: mortal = 1 :: mortal = DEATHS fi;
        atomic { run consumer(0); run consumer(1); run producer(2); run producer(3) }
}
