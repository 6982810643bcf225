package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// The manager's registry of schedulers and seed peers. The real one's messages are its own; these are plain documents,
// since both ends are played.
const (
	registryService = "standin.Registry"
	announceMethod  = "Announce"
	listMethod      = "Schedulers"
)

// How long a call to another program may take: the address may lead nowhere.
const callTimeout = 5 * time.Second

// member is a scheduler or a seed peer that registered with the manager.
type member struct {
	kind     memberKind
	hostname string
	ip       string
	port     int
	cluster  int
	interval time.Duration
}

type memberKind string

const (
	schedulerKind memberKind = "schedulers"
	seedPeerKind  memberKind = "seed_peers"
)

func (m member) document() (*structpb.Struct, error) {
	return structpb.NewStruct(map[string]any{
		"kind":     string(m.kind),
		"hostname": m.hostname,
		"ip":       m.ip,
		"port":     m.port,
		"cluster":  m.cluster,
		"interval": m.interval.Seconds(),
	})
}

func memberOf(document *structpb.Struct) (member, error) {
	fields := document.GetFields()
	found := member{
		kind:     memberKind(fields["kind"].GetStringValue()),
		hostname: fields["hostname"].GetStringValue(),
		ip:       fields["ip"].GetStringValue(),
		port:     int(fields["port"].GetNumberValue()),
		cluster:  int(fields["cluster"].GetNumberValue()),
		interval: time.Duration(fields["interval"].GetNumberValue() * float64(time.Second)),
	}
	if found.kind != schedulerKind && found.kind != seedPeerKind {
		return member{}, fmt.Errorf("unknown kind of member %q", found.kind)
	}
	return found, nil
}

// registry is what the manager does with announcements.
type registry interface {
	announce(ctx context.Context, announced member) error
	activeSchedulers(ctx context.Context) ([]string, error)
}

func registerRegistry(server *grpc.Server, served registry) {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: registryService,
		HandlerType: (*registry)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: announceMethod, Handler: announceHandler},
			{MethodName: listMethod, Handler: listHandler},
		},
	}, served)
}

func announceHandler(
	served any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	document := new(structpb.Struct)
	if err := decode(document); err != nil {
		return nil, err
	}
	announced, err := memberOf(document)
	if err != nil {
		return nil, err
	}
	return new(emptypb.Empty), served.(registry).announce(ctx, announced)
}

func listHandler(
	served any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	if err := decode(new(emptypb.Empty)); err != nil {
		return nil, err
	}
	addresses, err := served.(registry).activeSchedulers(ctx)
	if err != nil {
		return nil, err
	}
	list := new(structpb.ListValue)
	for _, address := range addresses {
		list.Values = append(list.Values, structpb.NewStringValue(address))
	}
	return list, nil
}

// managerClient speaks to the manager.
type managerClient struct {
	connection *grpc.ClientConn
}

// dialManager connects to the first manager that answers.
func dialManager(ctx context.Context, addresses ...string) (*managerClient, error) {
	connection, err := dial(ctx, "manager", addresses)
	if err != nil {
		return nil, err
	}
	return &managerClient{connection}, nil
}

// dial connects to the first of the addresses whose health service says that it serves.
func dial(ctx context.Context, what string, addresses []string) (*grpc.ClientConn, error) {
	var failure error
	for _, address := range addresses {
		connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, address, err)
		}
		limited, cancel := context.WithTimeout(ctx, callTimeout)
		_, err = healthpb.NewHealthClient(connection).Check(limited, new(healthpb.HealthCheckRequest))
		cancel()
		if err == nil {
			log.Printf("%s %s: connected", what, address)
			return connection, nil
		}
		_ = connection.Close()
		failure = fmt.Errorf("%s %s: %w", what, address, err)
	}
	return nil, failure
}

func (c *managerClient) announce(ctx context.Context, announced member) error {
	document, err := announced.document()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.connection.Invoke(limited, method(announceMethod), document, new(emptypb.Empty))
}

func (c *managerClient) schedulers(ctx context.Context) ([]string, error) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list := new(structpb.ListValue)
	if err := c.connection.Invoke(limited, method(listMethod), new(emptypb.Empty), list); err != nil {
		return nil, err
	}
	addresses := make([]string, 0, len(list.Values))
	for _, value := range list.Values {
		addresses = append(addresses, value.GetStringValue())
	}
	return addresses, nil
}

func method(name string) string {
	return "/" + registryService + "/" + name
}

// keepAlive announces a member until the program ends; a manager that is away comes back.
func (c *managerClient) keepAlive(ctx context.Context, announced member) {
	ticker := time.NewTicker(announced.interval)
	defer ticker.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := c.announce(ctx, announced)
		if err != nil && !away && ctx.Err() == nil {
			log.Printf("keep-alive with the manager failed, goes on trying: %v", err)
		} else if err == nil && away {
			log.Printf("keep-alive with the manager works again")
		}
		away = err != nil
	}
}

// port is that of a listener's address.
func port(listener net.Listener) int {
	_, text, _ := net.SplitHostPort(listener.Addr().String())
	number, _ := strconv.Atoi(text)
	return number
}
