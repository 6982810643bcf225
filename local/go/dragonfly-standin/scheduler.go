package main

import (
	"context"
	"log"
	"net"
	"strconv"
	"time"
)

type schedulerConfig struct {
	Server struct {
		directories `yaml:",inline"`
		Port        int    `yaml:"port"`
		ListenIP    string `yaml:"listenIP"`
		AdvertiseIP string `yaml:"advertiseIP"`
	} `yaml:"server"`
	Scheduler struct {
		Algorithm string `yaml:"algorithm"`
	} `yaml:"scheduler"`
	Database struct {
		Redis redisConfig `yaml:"redis"`
	} `yaml:"database"`
	DynConfig struct {
		RefreshInterval time.Duration `yaml:"refreshInterval"`
	} `yaml:"dynConfig"`
	Manager struct {
		Addr               string          `yaml:"addr"`
		SchedulerClusterID int             `yaml:"schedulerClusterID"`
		KeepAlive          keepAliveConfig `yaml:"keepAlive"`
	} `yaml:"manager"`
	SeedPeer struct {
		Enable bool `yaml:"enable"`
	} `yaml:"seedPeer"`
	Job struct {
		Enable bool `yaml:"enable"`
	} `yaml:"job"`
	Host struct {
		IDC      string `yaml:"idc"`
		Location string `yaml:"location"`
	} `yaml:"host"`
	Metrics metricsConfig `yaml:"metrics"`
	Network networkConfig `yaml:"network"`
	Console bool          `yaml:"console"`
}

type keepAliveConfig struct {
	Interval time.Duration `yaml:"interval"`
}

func readSchedulerConfig(file string) (*schedulerConfig, error) {
	config := new(schedulerConfig)
	config.Server.directories = defaultDirectories()
	config.Server.Port = 8002
	config.Scheduler.Algorithm = "default"
	config.Database.Redis.BrokerDB, config.Database.Redis.BackendDB = 1, 2
	config.DynConfig.RefreshInterval = time.Minute
	config.Manager.SchedulerClusterID = 1
	config.Manager.KeepAlive.Interval = 5 * time.Second
	config.Job.Enable = true
	config.Metrics.Addr = ":8000"
	if err := readConfig(file, config); err != nil {
		return nil, err
	}
	return config, required(file, []rule{
		{config.Server.Port > 0, "server requires parameter port"},
		{config.Scheduler.Algorithm != "", "scheduler requires parameter algorithm"},
		{len(config.Database.Redis.Addrs) > 0, "redis requires parameter addrs"},
		{config.Database.Redis.BrokerDB >= 0, "redis requires parameter brokerDB"},
		{config.Database.Redis.BackendDB >= 0, "redis requires parameter backendDB"},
		{config.DynConfig.RefreshInterval > 0, "dynconfig requires parameter refreshInterval"},
		{config.Manager.Addr != "", "manager requires parameter addr"},
		{config.Manager.SchedulerClusterID > 0, "manager requires parameter schedulerClusterID"},
		{config.Manager.KeepAlive.Interval > 0, "manager requires parameter keepAlive interval"},
		{!config.Metrics.Enable || config.Metrics.Addr != "", "metrics requires parameter addr"},
	})
}

func runScheduler(ctx context.Context, file string) error {
	config, err := readSchedulerConfig(file)
	if err != nil {
		return err
	}
	if err := config.Server.prepare(); err != nil {
		return err
	}
	manager, err := dialManager(ctx, config.Manager.Addr)
	if err != nil {
		return err
	}
	redis := config.Database.Redis
	if err := redis.signIn(ctx, redis.BrokerDB, redis.BackendDB, redis.NetworkTopologyDB); err != nil {
		return err
	}
	servers := newServers()
	if config.Metrics.Enable {
		if err := servers.serveMetrics(config.Metrics.Addr, "scheduler"); err != nil {
			return err
		}
	}
	self := member{
		kind:     schedulerKind,
		hostname: ownName(),
		ip:       config.Server.AdvertiseIP,
		port:     config.Server.Port,
		cluster:  config.Manager.SchedulerClusterID,
	}
	if self.ip == "" {
		self.ip = ownAddress()
	}
	if err := manager.update(ctx, self); err != nil {
		return err
	}
	log.Printf("registered with the manager as %s:%d", self.ip, self.port)
	go manager.keepAlive(ctx, self, config.Manager.KeepAlive.Interval)
	listener, err := listen("grpc", net.JoinHostPort(config.Server.ListenIP, strconv.Itoa(config.Server.Port)))
	if err != nil {
		return err
	}
	servers.grpc(listener, healthyGRPC())
	return servers.wait(ctx)
}
