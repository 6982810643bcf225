package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// healthProbe is a program that the real images hold too: it asks a gRPC server for its health.
const healthProbe = "grpc_health_probe"

func probe(arguments []string) int {
	address := ""
	for index, argument := range arguments {
		flag, value, joined := strings.Cut(strings.TrimLeft(argument, "-"), "=")
		if flag != "addr" {
			continue
		}
		if !joined && index+1 < len(arguments) {
			value = arguments[index+1]
		}
		address = value
	}
	if address == "" {
		fmt.Fprintln(os.Stderr, "expected -addr=HOST:PORT: nothing else is played")
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	answer, err := healthpb.NewHealthClient(connection).Check(ctx, new(healthpb.HealthCheckRequest))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fmt.Println("status:", answer.Status)
	if answer.Status != healthpb.HealthCheckResponse_SERVING {
		return 4
	}
	return 0
}
