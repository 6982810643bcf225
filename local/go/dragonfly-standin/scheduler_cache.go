package main

import (
	"context"
	"log"
	"sync"
	"time"
)

// schedulerCache answers who asks for schedulers from what that caller was answered before, though schedulers came,
// went or moved since: nothing but time makes it forget. As in the real manager, a copy in Redis outlives the one in
// memory, and makes a new one there when it is used, so that an answer may last as long as both together.
//
// Both copies are in this process: unlike the real ones, Redis' is forgotten when the manager restarts, is not seen by
// another manager, and stays when Redis loses its data. The size of the cache is not played.
type schedulerCache struct {
	*database
	redisTTL, localTTL time.Duration

	mutex sync.Mutex
	kept  map[caller]keptSchedulers
}

type keptSchedulers struct {
	addresses             []string
	untilRedis, untilHere time.Time
}

func newSchedulerCache(database *database, redisTTL, localTTL time.Duration) *schedulerCache {
	return &schedulerCache{
		database: database, redisTTL: redisTTL, localTTL: localTTL, kept: map[caller]keptSchedulers{},
	}
}

func (c *schedulerCache) listSchedulers(ctx context.Context, caller caller) ([]string, error) {
	if kept := c.find(caller); kept != nil {
		return kept, nil
	}
	found, err := c.activeSchedulers(ctx)
	if err != nil {
		return nil, err
	}
	log.Printf("list schedulers: %s %s: %v from the database", caller.hostname, caller.ip, found)
	// The real one waits for a scheduler to be ready, too.
	if len(found) > 0 {
		c.keep(caller, found)
	}
	return found, nil
}

func (c *schedulerCache) find(caller caller) []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	now := time.Now()
	kept, known := c.kept[caller]
	switch {
	case known && now.Before(kept.untilHere):
	case known && now.Before(kept.untilRedis):
		kept.untilHere = now.Add(c.localTTL)
		c.kept[caller] = kept
	default:
		return nil
	}
	return kept.addresses
}

func (c *schedulerCache) keep(caller caller, addresses []string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	now := time.Now()
	c.kept[caller] = keptSchedulers{addresses, now.Add(c.redisTTL), now.Add(c.localTTL)}
}
