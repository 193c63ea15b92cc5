package optest

import "testing"

func TestGradients(t *testing.T) { Gradients(t) }
