package main

import "github.com/spf13/cobra"

func newCheckCmd(e *environment) *cobra.Command   { return &cobra.Command{Use: "check"} }
func newCompareCmd(e *environment) *cobra.Command { return &cobra.Command{Use: "compare"} }
