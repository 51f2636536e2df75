package opacli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/spf13/cobra"
)

// asTest changes OPA's test in three ways. A policy that the server would refuse is refused, because the tests of a rule
// that no decision reads say nothing. Coverage leaves out the shipped modules, which say nothing about the author's rules.
// And it is an error if no test runs, so that a wrong folder does not look like one whose tests pass.
func asTest(c *cobra.Command) {
	if empty := c.Flags().Lookup("fail-on-empty"); empty != nil && empty.Value.Set("true") == nil {
		empty.DefValue = "true"
	}
	c.Flags().Bool("each", false, "test each folder below the paths as a policy of its own")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		return testEach(c, args, func(paths []string, s *engineFiles) error {
			if err := checkTested(c, paths); err != nil {
				return err
			}
			measure := flag(c, "coverage") || c.Flags().Changed("threshold")
			paths = append(paths[:len(paths):len(paths)], s.modulesBeside(paths, flag(c, "no-defaults"))...)
			if measure && !flag(c, "bench") && !flag(c, "watch") && !c.Flags().Changed("target") {
				return measureCoverage(c, paths, s)
			}
			return run(c, paths)
		})
	}
	c.Long += engineHelp + bundleHelp + `

A policy that "caddy opa check" refuses is not tested, except with --watch.

With --each, every folder below the paths that has Rego files is a policy of its own, as in
a collection of examples. Without it, all files together are one policy.

Coverage is that of your files. Only with --watch does it include the shipped modules.

The exit code is 2 if a test fails, and 1 for other errors. It is also 1 if no test runs,
unless you set --fail-on-empty=false.`
	describeDefaults(c)
}

// coverage is OPA's "test --coverage" over all modules, with a report of the author's modules only.
type coverage struct {
	compiler *ast.Compiler
	modules  map[string]*ast.Module
	store    storage.Store
	cover    *cover.Cover
}

// measureCoverage runs tests like OPA's command, with the same exit codes.
func measureCoverage(c *cobra.Command, paths []string, s *engineFiles) error {
	m, err := newCoverage(c, paths)
	if err == nil {
		err = m.run(c, s)
	}
	if err == nil {
		return nil
	}
	c.SilenceErrors = true
	fmt.Fprintln(c.ErrOrStderr(), err)
	if below := (*cover.CoverageThresholdError)(nil); errors.As(err, &below) {
		return &cmd.ExitError{Exit: 2}
	}
	return &cmd.ExitError{Exit: 1}
}

func newCoverage(c *cobra.Command, paths []string) (*coverage, error) {
	flags := c.Flags()
	capabilities, err := loadCapabilities(flags.Lookup("capabilities").Value.String())
	if err != nil {
		return nil, err
	}
	schemas, err := loader.Schemas(flags.Lookup("schema").Value.String())
	if err != nil {
		return nil, err
	}
	version := ast.RegoV1
	if flag(c, "v0-compatible") {
		version = ast.RegoV0
	}
	ignore, _ := flags.GetStringSlice("ignore")
	options := ast.ParserOptions{Capabilities: capabilities, ProcessAnnotation: true, RegoVersion: version}
	modules, store, err := tester.LoadWithParserOptions(paths, ignoring(ignore), options)
	if err != nil {
		return nil, err
	}
	limit, _ := flags.GetInt("max-errors")
	compiler := ast.NewCompiler().
		SetErrorLimit(limit).
		WithEnablePrintStatements(true).
		WithCapabilities(capabilities).
		WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true)
	return &coverage{compiler: compiler, modules: modules, store: store, cover: cover.New()}, nil
}

func (m *coverage) run(c *cobra.Command, s *engineFiles) error {
	ctx := context.Background()
	txn, err := m.store.NewTransaction(ctx, storage.WriteParams)
	if err != nil {
		return err
	}
	defer m.store.Abort(ctx, txn)
	m.compiler.WithPathConflictsCheck(storage.NonEmpty(ctx, m.store, txn))
	ran, err := m.runner(c).RunTests(ctx, txn)
	if err != nil {
		return err
	}
	number := 0
	results := make(chan *tester.Result)
	go func() {
		defer close(results)
		for result := range ran {
			number++
			results <- result
		}
	}()
	var printed bytes.Buffer
	all := tester.JSONCoverageReporter{Cover: m.cover, Modules: m.modules, Output: &printed, Verbose: flag(c, "verbose")}
	if err := all.Report(results); err != nil { // some test failed
		_, writeErr := printed.WriteTo(c.OutOrStdout())
		return errors.Join(err, writeErr)
	}
	if number == 0 && flag(c, "fail-on-empty") {
		return errors.New("no tests were run") // in OPA's words
	}
	threshold, _ := c.Flags().GetFloat64("threshold")
	report := ownReport(m.cover.Report(m.modules), s)
	if report.Coverage < threshold {
		err := &cover.CoverageThresholdError{Coverage: report.Coverage, Threshold: threshold}
		if flag(c, "verbose") {
			err.Report = &report
		}
		return err
	}
	encoder := json.NewEncoder(c.OutOrStdout())
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// ownReport removes the files of the engine from a report.
func ownReport(report cover.Report, s *engineFiles) cover.Report {
	own := cover.Report{Files: make(map[string]*cover.FileReport)}
	for name, file := range report.Files {
		if s.contains(name) {
			continue
		}
		own.Files[name] = file
		own.CoveredLines += file.CoveredLines
		own.NotCoveredLines += file.NotCoveredLines
	}
	if lines := own.CoveredLines + own.NotCoveredLines; lines > 0 {
		own.Coverage = 100 * float64(own.CoveredLines) / float64(lines)
	}
	return own
}

func (m *coverage) runner(c *cobra.Command) *tester.Runner {
	flags := c.Flags()
	timeout, _ := flags.GetDuration("timeout")
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	parallel, _ := flags.GetInt("parallel")
	named, _ := flags.GetStringSlice("coverage-runs")
	runs := make([]cover.Kind, len(named))
	for i, name := range named {
		runs[i] = cover.Kind(name)
	}
	return tester.NewRunner().
		SetCompiler(m.compiler).
		SetStore(m.store).
		CapturePrintOutput(true).
		EnableTracing(flag(c, "verbose")).
		StackTraces(true).
		SetCoverageRuns(runs).
		SetCoverageQueryTracer(m.cover).
		SetModules(m.modules).
		SetTimeout(timeout).
		Filter(flags.Lookup("run").Value.String()).
		SetParallel(parallel)
}
