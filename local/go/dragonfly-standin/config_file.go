package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// readConfig fills a config, which holds the defaults, from a YAML file. A key that does not exist is ignored, as the
// real programs do, but told.
func readConfig(file string, config any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	var unknown *yaml.TypeError
	if err := strict.Decode(config); errors.As(err, &unknown) {
		for _, text := range unknown.Errors {
			log.Printf("warning: %s: %s: not played, or no key of Dragonfly", file, text)
		}
	} else if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// required names the first of its rules that does not hold.
func required(file string, rules []rule) error {
	for _, rule := range rules {
		if !rule.holds {
			return fmt.Errorf("%s: %s", file, rule.fault)
		}
	}
	return nil
}

type rule struct {
	holds bool
	fault string
}

// size is a number of bytes: 512Mi, 20Gi, 100MB or a plain number.
type size int64

var sizePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*(?:([KMGTPE])i?)?B?$`)

func (s *size) UnmarshalYAML(node *yaml.Node) error {
	match := sizePattern.FindStringSubmatch(node.Value)
	if node.Kind != yaml.ScalarNode || match == nil {
		return fmt.Errorf("line %d: %q is no size: expected a number of bytes such as 512Mi", node.Line, node.Value)
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	if match[2] != "" {
		number *= float64(int64(1) << (10 * (1 + strings.Index("KMGTPE", match[2]))))
	}
	*s = size(number)
	return nil
}

// portRange is a range of ports to try in turn.
type portRange struct {
	Start int `yaml:"start"`
	End   int `yaml:"end"`
}

// daemonPorts is a range of ports or, as only the daemon's config allows, the first of an open one.
type daemonPorts portRange

const lastPort = 65535

func (p *daemonPorts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		p.End = lastPort
		return node.Decode(&p.Start)
	}
	return node.Decode((*portRange)(p))
}

// directories are what a program writes to: the real ones end where they cannot.
type directories struct {
	WorkHome string `yaml:"workHome"`
	CacheDir string `yaml:"cacheDir"`
	LogDir   string `yaml:"logDir"`
	DataDir  string `yaml:"dataDir"`
}

func defaultDirectories() directories {
	return directories{
		WorkHome: "/usr/local/dragonfly",
		CacheDir: "/var/cache/dragonfly",
		LogDir:   "/var/log/dragonfly",
		DataDir:  "/var/lib/dragonfly",
	}
}

func (d directories) prepare() error {
	for _, directory := range []string{d.WorkHome, d.CacheDir, d.LogDir, d.DataDir} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
		probe := filepath.Join(directory, ".written")
		if err := os.WriteFile(probe, nil, 0o600); err != nil {
			return err
		}
		if err := os.Remove(probe); err != nil {
			return err
		}
	}
	return nil
}

type metricsConfig struct {
	Enable bool   `yaml:"enable"`
	Addr   string `yaml:"addr"`
}

type networkConfig struct {
	EnableIPv6 bool `yaml:"enableIPv6"`
}
