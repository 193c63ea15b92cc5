//go:build !js

package gpu

// noAdapterHelp is for a machine without an adapter.
const noAdapterHelp = "install the graphics driver of your GPU with its Vulkan part " +
	"(Debian and Ubuntu: mesa-vulkan-drivers for AMD, Intel and the software adapter, nvidia-driver for NVIDIA) " +
	"and the Vulkan loader (libvulkan1)"
