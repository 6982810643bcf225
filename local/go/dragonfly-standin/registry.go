package main

import (
	"context"
	"errors"
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
	// Both UpdateScheduler and UpdateSeedPeer.
	updateMethod    = "Update"
	keepAliveMethod = "KeepAlive"
	listMethod      = "ListSchedulers"
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
}

// memberKind is the name of the kind's table, too.
type memberKind string

const (
	schedulerKind memberKind = "scheduler"
	seedPeerKind  memberKind = "seed_peer"
)

type memberState string

const (
	active   memberState = "active"
	inactive memberState = "inactive"
)

func (m member) document() (*structpb.Struct, error) {
	return structpb.NewStruct(map[string]any{
		"kind":     string(m.kind),
		"hostname": m.hostname,
		"ip":       m.ip,
		"port":     m.port,
		"cluster":  m.cluster,
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
	}
	if found.kind != schedulerKind && found.kind != seedPeerKind {
		return member{}, fmt.Errorf("unknown kind of member %q", found.kind)
	}
	return found, nil
}

// registry is what the manager does when it is called.
type registry interface {
	update(ctx context.Context, registered member) error
	setState(ctx context.Context, registered member, state memberState) error
	listSchedulers(ctx context.Context, caller caller) ([]string, error)
}

// caller is who asks for schedulers.
type caller struct {
	hostname string
	ip       string
}

func registerRegistry(server *grpc.Server, served registry) {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: registryService,
		HandlerType: (*registry)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: updateMethod, Handler: updateHandler},
			{MethodName: listMethod, Handler: listHandler},
		},
		Streams: []grpc.StreamDesc{{StreamName: keepAliveMethod, Handler: keepAliveHandler, ClientStreams: true}},
	}, served)
}

func updateHandler(
	served any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	document := new(structpb.Struct)
	if err := decode(document); err != nil {
		return nil, err
	}
	registered, err := memberOf(document)
	if err != nil {
		return nil, err
	}
	return new(emptypb.Empty), served.(registry).update(ctx, registered)
}

// keepAliveHandler takes a member for active from the first message of its stream until the stream breaks, whatever it
// hears meanwhile. A manager that is killed leaves the member active; one that is told to end does not.
func keepAliveHandler(served any, stream grpc.ServerStream) error {
	document := new(structpb.Struct)
	if err := stream.RecvMsg(document); err != nil {
		return err
	}
	registered, err := memberOf(document)
	if err != nil {
		return err
	}
	setState := func(state memberState) error {
		// The stream's own context has ended when the stream has.
		limited, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		err := served.(registry).setState(limited, registered, state)
		if err != nil {
			err = fmt.Errorf("keep-alive: %s %s cannot become %s: %w", registered.kind, registered.hostname, state, err)
			log.Print(err)
			return err
		}
		log.Printf("keep-alive: %s %s is %s", registered.kind, registered.hostname, state)
		return nil
	}
	if err := setState(active); err != nil {
		return err
	}
	for err == nil {
		err = stream.RecvMsg(document)
	}
	return errors.Join(err, setState(inactive))
}

func listHandler(
	served any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	document := new(structpb.Struct)
	if err := decode(document); err != nil {
		return nil, err
	}
	fields := document.GetFields()
	asking := caller{fields["hostname"].GetStringValue(), fields["ip"].GetStringValue()}
	addresses, err := served.(registry).listSchedulers(ctx, asking)
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

// update registers a member, or writes its new address.
func (c *managerClient) update(ctx context.Context, registered member) error {
	document, err := registered.document()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.connection.Invoke(limited, method(updateMethod), document, new(emptypb.Empty))
}

func (c *managerClient) listSchedulers(ctx context.Context, caller caller) ([]string, error) {
	document, err := structpb.NewStruct(map[string]any{"hostname": caller.hostname, "ip": caller.ip})
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list := new(structpb.ListValue)
	if err := c.connection.Invoke(limited, method(listMethod), document, list); err != nil {
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

// keepAlive tells the manager of a member until the program ends; a manager that is away comes back.
func (c *managerClient) keepAlive(ctx context.Context, registered member, interval time.Duration) {
	away := false
	for {
		err := c.keepStream(ctx, registered, interval, func() {
			if away {
				log.Printf("keep-alive with the manager works again")
			}
			away = false
		})
		if ctx.Err() != nil {
			return
		}
		if !away {
			log.Printf("keep-alive with the manager failed, goes on trying: %v", err)
		}
		away = true
	}
}

// keepStream sends one message per interval, the first after a whole one, until the stream breaks. Where there is none
// the next attempt may come after an interval too.
func (c *managerClient) keepStream(ctx context.Context, registered member, interval time.Duration, sent func()) error {
	document, err := registered.document()
	if err != nil {
		return err
	}
	stream, failure := c.connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method(keepAliveMethod))
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if failure != nil {
			return failure
		}
		if stream.SendMsg(document) != nil {
			// Only this tells why, and lets go of the stream.
			return stream.RecvMsg(new(emptypb.Empty))
		}
		sent()
	}
}

// port is that of a listener's address.
func port(listener net.Listener) int {
	_, text, _ := net.SplitHostPort(listener.Addr().String())
	number, _ := strconv.Atoi(text)
	return number
}
