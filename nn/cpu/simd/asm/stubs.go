package main

func matvecKernels(g *gen)  {}
func ternaryKernels(g *gen) {}
func measureKernels(g *gen) {}
