package main

func vectorKernels(g *gen)     {}
func activationKernels(g *gen) {}
func matvecKernels(g *gen)     {}
func ternaryKernels(g *gen)    {}
func measureKernels(g *gen)    {}
