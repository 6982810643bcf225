package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisConfig is a program's Redis client; each program has its own names for the databases.
type redisConfig struct {
	Addrs             []string `yaml:"addrs"`
	Username          string   `yaml:"username"`
	Password          string   `yaml:"password"`
	DB                int      `yaml:"db"`
	BrokerDB          int      `yaml:"brokerDB"`
	BackendDB         int      `yaml:"backendDB"`
	NetworkTopologyDB int      `yaml:"networkTopologyDB"`
}

// signIn connects to each of the databases and asks it for a sign of life.
func (c redisConfig) signIn(ctx context.Context, databases ...int) error {
	for _, database := range databases {
		client := redis.NewUniversalClient(&redis.UniversalOptions{
			Addrs:       c.Addrs,
			Username:    c.Username,
			Password:    c.Password,
			DB:          database,
			DialTimeout: 2 * time.Second,
		})
		err := client.Ping(ctx).Err()
		_ = client.Close()
		if err != nil {
			return fmt.Errorf("redis %v, database %d: %w", c.Addrs, database, err)
		}
	}
	log.Printf("redis %v: signed in", c.Addrs)
	return nil
}
