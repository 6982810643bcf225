package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"gopkg.in/yaml.v3"
)

type netAddr struct {
	Type string `yaml:"type"`
	Addr string `yaml:"addr"`
}

type securityConfig struct {
	Insecure bool   `yaml:"insecure"`
	Cert     string `yaml:"cert"`
	Key      string `yaml:"key"`
}

type listenConfig struct {
	Security  securityConfig `yaml:"security"`
	TCPListen *struct {
		Listen string      `yaml:"listen"`
		Port   daemonPorts `yaml:"port"`
	} `yaml:"tcpListen"`
	UnixListen *struct {
		Socket string `yaml:"socket"`
	} `yaml:"unixListen"`
}

// pattern is a regular expression; one that does not compile ends the program.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalYAML(node *yaml.Node) error {
	compiled, err := regexp.Compile(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	p.Regexp = compiled
	return nil
}

type proxyConfig struct {
	listenConfig   `yaml:",inline"`
	DefaultFilter  string `yaml:"defaultFilter"`
	RegistryMirror *struct {
		Dynamic  bool   `yaml:"dynamic"`
		URL      string `yaml:"url"`
		Insecure bool   `yaml:"insecure"`
		Direct   bool   `yaml:"direct"`
	} `yaml:"registryMirror"`
	Proxies []struct {
		Regx pattern `yaml:"regx"`
	} `yaml:"proxies"`
	WhiteList []allowedHost `yaml:"whiteList"`
}

type allowedHost struct {
	Host  pattern  `yaml:"host"`
	Ports []string `yaml:"ports"`
}

type daemonConfig struct {
	directories `yaml:",inline"`
	Console     bool          `yaml:"console"`
	AliveTime   time.Duration `yaml:"aliveTime"`
	KeepStorage bool          `yaml:"keepStorage"`
	Metrics     string        `yaml:"metrics"`
	Scheduler   struct {
		Manager struct {
			Enable          bool          `yaml:"enable"`
			NetAddrs        []netAddr     `yaml:"netAddrs"`
			RefreshInterval time.Duration `yaml:"refreshInterval"`
			SeedPeer        struct {
				Enable    bool            `yaml:"enable"`
				Type      string          `yaml:"type"`
				ClusterID int             `yaml:"clusterID"`
				KeepAlive keepAliveConfig `yaml:"keepAlive"`
			} `yaml:"seedPeer"`
		} `yaml:"manager"`
		NetAddrs        []netAddr     `yaml:"netAddrs"`
		ScheduleTimeout time.Duration `yaml:"scheduleTimeout"`
	} `yaml:"scheduler"`
	Host struct {
		IDC         string `yaml:"idc"`
		Location    string `yaml:"location"`
		AdvertiseIP string `yaml:"advertiseIP"`
	} `yaml:"host"`
	Download struct {
		TotalRateLimit   size         `yaml:"totalRateLimit"`
		PerPeerRateLimit size         `yaml:"perPeerRateLimit"`
		DownloadGRPC     listenConfig `yaml:"downloadGRPC"`
		PeerGRPC         listenConfig `yaml:"peerGRPC"`
	} `yaml:"download"`
	Upload struct {
		listenConfig `yaml:",inline"`
		RateLimit    size `yaml:"rateLimit"`
	} `yaml:"upload"`
	Storage struct {
		TaskExpireTime         time.Duration `yaml:"taskExpireTime"`
		Strategy               string        `yaml:"strategy"`
		DiskGCThreshold        size          `yaml:"diskGCThreshold"`
		DiskGCThresholdPercent float64       `yaml:"diskGCThresholdPercent"`
		Multiplex              bool          `yaml:"multiplex"`
	} `yaml:"storage"`
	Health listenConfig  `yaml:"health"`
	Proxy  *proxyConfig  `yaml:"proxy"`
	Net    networkConfig `yaml:"network"`
}

const smallestRate = 20 << 20

func readDaemonConfig(file string) (*daemonConfig, error) {
	config := new(daemonConfig)
	config.directories = defaultDirectories()
	// Without a download in this time a daemon ends.
	config.AliveTime = 5 * time.Minute
	config.Scheduler.Manager.RefreshInterval = 10 * time.Minute
	config.Scheduler.Manager.SeedPeer.KeepAlive.Interval = 5 * time.Second
	config.Download.TotalRateLimit, config.Upload.RateLimit = 1<<30, 1<<30
	if err := readConfig(file, config); err != nil {
		return nil, err
	}
	manager, proxy := config.Scheduler.Manager, config.Proxy
	rules := []rule{
		{!manager.Enable || len(manager.NetAddrs) > 0, "manager addr is not specified"},
		{!manager.Enable || manager.RefreshInterval > 0, "manager refreshInterval is not specified"},
		{
			!manager.Enable || !manager.SeedPeer.Enable || manager.SeedPeer.ClusterID > 0,
			"seedPeer requires parameter clusterID",
		},
		{
			manager.Enable || len(config.Scheduler.NetAddrs) > 0,
			"empty schedulers and config server is not specified",
		},
		{config.Download.TotalRateLimit >= smallestRate, "download: rate limit must be greater than 20MB"},
		{config.Upload.RateLimit >= smallestRate, "upload: rate limit must be greater than 20MB"},
		{config.Download.DownloadGRPC.UnixListen != nil, "download.downloadGRPC has no unixListen"},
		{proxy != nil, "proxy is missing: nothing would serve the nodes' containerd"},
	}
	rules = append(rules, config.Download.PeerGRPC.rules("download.peerGRPC")...)
	rules = append(rules, config.Upload.rules("upload")...)
	rules = append(rules, config.Health.rules("health")...)
	if proxy != nil {
		rules = append(rules, proxy.rules("proxy")...)
		rules = append(rules, rule{
			proxy.RegistryMirror != nil && isURL(proxy.RegistryMirror.URL),
			"proxy.registryMirror.url must be the URL of a registry: an empty one switches the mirror off",
		})
	}
	return config, required(file, rules)
}

func (l listenConfig) rules(name string) []rule {
	encrypted := l.Security.Cert != "" && l.Security.Key != ""
	return []rule{
		{l.TCPListen != nil && l.TCPListen.Port.Start > 0, name + ".tcpListen requires parameter port"},
		{l.Security.Insecure || encrypted, name + ".security: neither insecure nor a certificate and its key"},
		{!encrypted, name + ".security: TLS is not played"},
	}
}

func isURL(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Host != "" && (parsed.Scheme == "http" || parsed.Scheme == "https")
}

func (l listenConfig) listen(what string) (net.Listener, error) {
	return listenIn(what, l.TCPListen.Listen, portRange(l.TCPListen.Port))
}

func runDaemon(ctx context.Context, file string) error {
	config, err := readDaemonConfig(file)
	if err != nil {
		return err
	}
	if err := config.prepare(); err != nil {
		return err
	}
	self := caller{hostname: ownName(), ip: config.Host.AdvertiseIP}
	if self.ip == "" {
		self.ip = ownAddress()
	}
	manager, err := config.findScheduler(ctx, self)
	if err != nil || ctx.Err() != nil {
		return err
	}
	servers := newServers()
	peer, err := config.serve(servers)
	if err != nil {
		return err
	}
	role := config.Scheduler.Manager.SeedPeer
	if manager != nil && role.Enable {
		seedPeer := member{
			kind:     seedPeerKind,
			hostname: self.hostname,
			ip:       self.ip,
			port:     peer,
			cluster:  role.ClusterID,
		}
		if err := manager.update(ctx, seedPeer); err != nil {
			return err
		}
		log.Printf("registered with the manager as seed peer %s:%d", seedPeer.ip, seedPeer.port)
		go manager.keepAlive(ctx, seedPeer, role.KeepAlive.Interval)
	}
	if config.AliveTime > 0 {
		limited, cancel := context.WithTimeout(ctx, config.AliveTime)
		defer cancel()
		ctx = limited
	}
	return servers.wait(ctx)
}

// No key of the config changes it.
const watchInterval = 10 * time.Second

// findScheduler returns once a scheduler answers. One that it was told of must be there; one that the manager knows may
// register later, and until it is found this daemon serves nothing.
//
// The daemon asks the manager at its start, then at a tick, and only when it has had its last answer, be it empty, for
// the refresh interval. It tries the answer's addresses at every tick. What it asks once it has found a scheduler is
// not played, nor is the copy of the answer in its cache directory.
func (c *daemonConfig) findScheduler(ctx context.Context, self caller) (*managerClient, error) {
	discovery := c.Scheduler.Manager
	if !discovery.Enable {
		_, err := dial(ctx, "scheduler", addresses(c.Scheduler.NetAddrs))
		return nil, err
	}
	manager, err := dialManager(ctx, addresses(discovery.NetAddrs)...)
	if err != nil {
		return nil, err
	}
	found, err := manager.listSchedulers(ctx, self)
	if err != nil {
		return nil, fmt.Errorf("the manager gives no schedulers: %w", err)
	}
	expires := time.Now().Add(discovery.RefreshInterval)
	first := time.Now().Add(watchInterval)
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		var fault string
		if len(found) > 0 {
			if _, err = dial(ctx, "scheduler", found); err == nil {
				return manager, nil
			}
			fault = fmt.Sprintf("no scheduler answers: %v", err)
		} else if err != nil {
			fault = fmt.Sprintf("the manager gives no schedulers: %v", err)
		} else {
			fault = "no scheduler has registered"
		}
		log.Printf("%s; serves nothing, asks again in %s", fault, untilTick(first, expires).Round(time.Second))
		select {
		case <-ctx.Done():
			return nil, nil
		case <-ticker.C:
		}
		if time.Now().Before(expires) {
			continue
		}
		if found, err = manager.listSchedulers(ctx, self); err == nil {
			expires = time.Now().Add(discovery.RefreshInterval)
		}
	}
}

// untilTick is how long it takes to the first tick that is still to come and not before a time.
func untilTick(first, earliest time.Time) time.Duration {
	now := time.Now()
	tick := first
	for tick.Before(now) || tick.Before(earliest) {
		tick = tick.Add(watchInterval)
	}
	return tick.Sub(now)
}

func addresses(listed []netAddr) []string {
	found := make([]string, 0, len(listed))
	for _, each := range listed {
		found = append(found, each.Addr)
	}
	return found
}

// serve opens every port, the one that kubelet asks last; it returns that one.
func (c *daemonConfig) serve(servers *servers) (int, error) {
	proxy := newProxy(c.Proxy)
	if c.Metrics != "" {
		if err := servers.serveMetrics(c.Metrics, "dfget"); err != nil {
			return 0, err
		}
	}
	for _, each := range []struct {
		name    string
		options listenConfig
		handler http.Handler
	}{
		{"proxy", c.Proxy.listenConfig, proxy},
		{"upload", c.Upload.listenConfig, http.NotFoundHandler()},
		{"health", c.Health, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})},
	} {
		listener, err := each.options.listen(each.name)
		if err != nil {
			return 0, err
		}
		servers.http(listener, each.handler)
	}
	local, err := listenUnix(c.Download.DownloadGRPC.UnixListen.Socket)
	if err != nil {
		return 0, err
	}
	servers.grpc(local, healthyGRPC())
	peer, err := c.Download.PeerGRPC.listen("peer grpc")
	if err != nil {
		return 0, err
	}
	servers.grpc(peer, healthyGRPC())
	return port(peer), nil
}

func listenUnix(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, err
	}
	// A killed daemon leaves its socket behind.
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return net.Listen("unix", socket)
}
