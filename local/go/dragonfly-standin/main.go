// Command dragonfly-standin takes the place of the four Dragonfly programs where their images cannot be had.
//
// It is not Dragonfly: nothing is shared between peers. It reads the config file that the real program would, refuses
// what that refuses, signs in to the same databases, listens on the same addresses and ends when the real one would
// end. The name it is started under decides which program it plays: server (the manager), scheduler or dfget.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

type program struct {
	title      string
	subcommand string
	config     string
	run        func(ctx context.Context, config string) error
}

var programs = map[string]program{
	"server":    {"manager", "", "/etc/dragonfly/manager.yaml", runManager},
	"scheduler": {"scheduler", "", "/etc/dragonfly/scheduler.yaml", runScheduler},
	"dfget":     {"peer", "daemon", "/etc/dragonfly/dfget.yaml", runDaemon},
}

func main() {
	log.SetOutput(os.Stdout)
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	log.SetPrefix("stand-in ")
	name := filepath.Base(os.Args[0])
	if name == healthProbe {
		os.Exit(probe(os.Args[1:]))
	}
	if err := start(name, os.Args[1:]); err != nil {
		log.Printf("ends: %v", err)
		os.Exit(1)
	}
}

func start(name string, arguments []string) error {
	played, known := programs[name]
	if !known {
		return fmt.Errorf("started as %q: link it as server, scheduler or dfget", name)
	}
	log.Printf("This is a STAND-IN for the Dragonfly %s, not Dragonfly: it shares nothing between peers.", played.title)
	file, err := configFile(played, arguments)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return played.run(ctx, file)
}

func configFile(played program, arguments []string) (string, error) {
	if played.subcommand != "" {
		if len(arguments) == 0 || arguments[0] != played.subcommand {
			return "", fmt.Errorf("expected the subcommand %q: single downloads are not played", played.subcommand)
		}
		arguments = arguments[1:]
	}
	file := played.config
	for len(arguments) > 0 {
		flag, value, joined := strings.Cut(arguments[0], "=")
		arguments = arguments[1:]
		if flag != "--config" {
			return "", fmt.Errorf("unknown argument %q: only --config FILE is played", flag)
		}
		if !joined {
			if len(arguments) == 0 {
				return "", fmt.Errorf("--config needs a file")
			}
			value, arguments = arguments[0], arguments[1:]
		}
		file = value
	}
	return file, nil
}
