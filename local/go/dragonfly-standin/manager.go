package main

import (
	"context"
	"log"
	"time"
)

type managerConfig struct {
	Server struct {
		directories `yaml:",inline"`
		GRPC        struct {
			Port     portRange `yaml:"port"`
			ListenIP string    `yaml:"listenIP"`
		} `yaml:"grpc"`
		REST struct {
			Addr string `yaml:"addr"`
		} `yaml:"rest"`
	} `yaml:"server"`
	Auth struct {
		JWT tokenConfig `yaml:"jwt"`
	} `yaml:"auth"`
	Database struct {
		Type  string      `yaml:"type"`
		MySQL mysqlConfig `yaml:"mysql"`
		Redis redisConfig `yaml:"redis"`
	} `yaml:"database"`
	Cache struct {
		Redis struct {
			TTL time.Duration `yaml:"ttl"`
		} `yaml:"redis"`
		Local struct {
			Size int           `yaml:"size"`
			TTL  time.Duration `yaml:"ttl"`
		} `yaml:"local"`
	} `yaml:"cache"`
	ObjectStorage struct {
		Enable bool `yaml:"enable"`
	} `yaml:"objectStorage"`
	Metrics metricsConfig `yaml:"metrics"`
	Network networkConfig `yaml:"network"`
	Console bool          `yaml:"console"`
}

func readManagerConfig(file string) (*managerConfig, error) {
	config := new(managerConfig)
	config.Server.directories = defaultDirectories()
	config.Server.GRPC.Port = portRange{65003, 65003}
	config.Server.REST.Addr = ":8080"
	config.Auth.JWT = tokenConfig{Realm: "Dragonfly", Timeout: 48 * time.Hour, MaxRefresh: 48 * time.Hour}
	config.Database.Type = "mysql"
	config.Database.MySQL = mysqlConfig{Port: 3306, DBName: "manager", Migrate: true}
	config.Database.Redis.BrokerDB, config.Database.Redis.BackendDB = 1, 2
	config.Cache.Redis.TTL = 30 * time.Second
	config.Cache.Local.Size, config.Cache.Local.TTL = 10000, 10*time.Second
	config.Metrics.Addr = ":8000"
	if err := readConfig(file, config); err != nil {
		return nil, err
	}
	token, mysql, redis := config.Auth.JWT, config.Database.MySQL, config.Database.Redis
	return config, required(file, []rule{
		{token.Realm != "", "jwt requires parameter realm"},
		{token.Key != "", "jwt requires parameter key"},
		{token.Timeout > 0, "jwt requires parameter timeout"},
		{token.MaxRefresh > 0, "jwt requires parameter maxRefresh"},
		{config.Database.Type == "mysql" || config.Database.Type == "mariadb", "database type must be mysql"},
		{mysql.User != "", "mysql requires parameter user"},
		{mysql.Password != "", "mysql requires parameter password"},
		{mysql.Host != "", "mysql requires parameter host"},
		{mysql.Port > 0, "mysql requires parameter port"},
		{mysql.DBName != "", "mysql requires parameter dbname"},
		{len(redis.Addrs) > 0, "redis requires parameter addrs"},
		{redis.DB >= 0, "redis requires parameter db"},
		{redis.BrokerDB >= 0, "redis requires parameter brokerDB"},
		{redis.BackendDB >= 0, "redis requires parameter backendDB"},
		{config.Cache.Redis.TTL > 0, "redis requires parameter ttl"},
		{config.Cache.Local.Size > 0, "local requires parameter size"},
		{config.Cache.Local.TTL > 0, "local requires parameter ttl"},
		{!config.Metrics.Enable || config.Metrics.Addr != "", "metrics requires parameter addr"},
		{!config.ObjectStorage.Enable, "objectStorage is not played"},
	})
}

func runManager(ctx context.Context, file string) error {
	config, err := readManagerConfig(file)
	if err != nil {
		return err
	}
	if err := config.Server.prepare(); err != nil {
		return err
	}
	database, err := openDatabase(ctx, config.Database.MySQL)
	if err != nil {
		return err
	}
	defer database.close()
	redis := config.Database.Redis
	if err := redis.signIn(ctx, redis.DB, redis.BrokerDB, redis.BackendDB); err != nil {
		return err
	}
	servers := newServers()
	if config.Metrics.Enable {
		if err := servers.serveMetrics(config.Metrics.Addr, "manager"); err != nil {
			return err
		}
	}
	rest, err := listen("rest", config.Server.REST.Addr)
	if err != nil {
		return err
	}
	servers.http(rest, restAPI(database, config.Auth.JWT))
	listener, err := listenIn("grpc", config.Server.GRPC.ListenIP, config.Server.GRPC.Port)
	if err != nil {
		return err
	}
	server := healthyGRPC()
	redisTTL, localTTL := config.Cache.Redis.TTL, config.Cache.Local.TTL
	registerRegistry(server, newSchedulerCache(database, redisTTL, localTTL))
	servers.grpc(listener, server)
	log.Printf("serves")
	return servers.wait(ctx)
}
