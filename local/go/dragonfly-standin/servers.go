package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Running requests get this long once the program is told to end.
const grace = 500 * time.Millisecond

// servers is what one program listens with.
type servers struct {
	stops  []func(context.Context)
	failed chan error
}

func newServers() *servers {
	return &servers{failed: make(chan error, 1)}
}

// listen opens a TCP address; every interface when it names no host.
func listen(what, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	log.Printf("%s: %s", what, listener.Addr())
	return listener, nil
}

// listenIn opens the first free port of a range.
func listenIn(what, host string, ports portRange) (net.Listener, error) {
	var failure error
	for port := ports.Start; port <= max(ports.Start, ports.End); port++ {
		listener, err := listen(what, net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return listener, nil
		}
		failure = err
	}
	return nil, failure
}

func (s *servers) http(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			s.fail(err)
		}
	}()
	s.stops = append(s.stops, func(ctx context.Context) {
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
}

func (s *servers) grpc(listener net.Listener, server *grpc.Server) {
	go func() {
		if err := server.Serve(listener); err != nil {
			s.fail(err)
		}
	}()
	s.stops = append(s.stops, func(ctx context.Context) {
		finished := make(chan struct{})
		go func() {
			server.GracefulStop()
			close(finished)
		}()
		select {
		case <-finished:
		case <-ctx.Done():
			server.Stop()
		}
	})
}

func (s *servers) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// wait returns once the program is told to end, or a server failed, with every server stopped.
func (s *servers) wait(ctx context.Context) error {
	var failure error
	select {
	case <-ctx.Done():
		log.Printf("told to end")
	case failure = <-s.failed:
	}
	limit, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var group sync.WaitGroup
	for _, stop := range s.stops {
		group.Go(func() { stop(limit) })
	}
	group.Wait()
	return failure
}

// healthyGRPC is a server whose health service says that it serves.
func healthyGRPC() *grpc.Server {
	// The end of the program breaks the streams of keep-alives, which is still written down.
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server
}

// serveMetrics answers Prometheus with the program's metrics.
func (s *servers) serveMetrics(address, program string) error {
	listener, err := listen("metrics", address)
	if err != nil {
		return err
	}
	promauto.NewGauge(prometheus.GaugeOpts{
		Name: "dragonfly_standin_info", Help: "That this is a stand-in.", ConstLabels: prometheus.Labels{"program": program},
	}).Set(1)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	s.http(listener, mux)
	return nil
}

// ownAddress is where others reach this host: what the real programs advertise.
func ownAddress() string {
	addresses, err := net.InterfaceAddrs()
	if err == nil {
		for _, address := range addresses {
			network, ok := address.(*net.IPNet)
			if ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
				return network.IP.String()
			}
		}
	}
	return "127.0.0.1"
}

func ownName() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
