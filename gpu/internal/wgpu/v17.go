//go:build cgo && !wgpu22 && (darwin || (amd64 && (linux || windows)))

package wgpu

import binding "github.com/rajveermalviya/go-webgpu/wgpu"

// Types that both bindings have.
type (
	Adapter                          = binding.Adapter
	BindGroup                        = binding.BindGroup
	BindGroupDescriptor              = binding.BindGroupDescriptor
	BindGroupEntry                   = binding.BindGroupEntry
	BindGroupLayout                  = binding.BindGroupLayout
	BindGroupLayoutDescriptor        = binding.BindGroupLayoutDescriptor
	BindGroupLayoutEntry             = binding.BindGroupLayoutEntry
	Buffer                           = binding.Buffer
	BufferBindingLayout              = binding.BufferBindingLayout
	BufferBindingType                = binding.BufferBindingType
	BufferDescriptor                 = binding.BufferDescriptor
	BufferUsage                      = binding.BufferUsage
	ColorTargetState                 = binding.ColorTargetState
	CommandBuffer                    = binding.CommandBuffer
	CommandEncoder                   = binding.CommandEncoder
	ComputePassEncoder               = binding.ComputePassEncoder
	ComputePipeline                  = binding.ComputePipeline
	ComputePipelineDescriptor        = binding.ComputePipelineDescriptor
	Device                           = binding.Device
	Extent3D                         = binding.Extent3D
	FragmentState                    = binding.FragmentState
	ImageCopyBuffer                  = binding.ImageCopyBuffer
	Instance                         = binding.Instance
	MultisampleState                 = binding.MultisampleState
	PipelineLayout                   = binding.PipelineLayout
	PipelineLayoutDescriptor         = binding.PipelineLayoutDescriptor
	PrimitiveState                   = binding.PrimitiveState
	ProgrammableStageDescriptor      = binding.ProgrammableStageDescriptor
	QuerySet                         = binding.QuerySet
	QuerySetDescriptor               = binding.QuerySetDescriptor
	Queue                            = binding.Queue
	RenderPassColorAttachment        = binding.RenderPassColorAttachment
	RenderPassDescriptor             = binding.RenderPassDescriptor
	RenderPipeline                   = binding.RenderPipeline
	RenderPipelineDescriptor         = binding.RenderPipelineDescriptor
	ShaderModule                     = binding.ShaderModule
	ShaderModuleDescriptor           = binding.ShaderModuleDescriptor
	ShaderModuleWGSLDescriptor       = binding.ShaderModuleWGSLDescriptor
	ShaderStage                      = binding.ShaderStage
	Surface                          = binding.Surface
	SurfaceDescriptor                = binding.SurfaceDescriptor
	SurfaceDescriptorFromWindowsHWND = binding.SurfaceDescriptorFromWindowsHWND
	SurfaceDescriptorFromXlibWindow  = binding.SurfaceDescriptorFromXlibWindow
	TextureDataLayout                = binding.TextureDataLayout
	TextureDescriptor                = binding.TextureDescriptor
	TextureFormat                    = binding.TextureFormat
	TextureView                      = binding.TextureView
	VertexState                      = binding.VertexState
)

// Constants that both bindings have.
const (
	AdapterType_CPU                   = binding.AdapterType_CPU
	AdapterType_DiscreteGPU           = binding.AdapterType_DiscreteGPU
	AdapterType_IntegratedGPU         = binding.AdapterType_IntegratedGPU
	BufferBindingType_ReadOnlyStorage = binding.BufferBindingType_ReadOnlyStorage
	BufferBindingType_Storage         = binding.BufferBindingType_Storage
	BufferBindingType_Uniform         = binding.BufferBindingType_Uniform
	BufferUsage_CopyDst               = binding.BufferUsage_CopyDst
	BufferUsage_CopySrc               = binding.BufferUsage_CopySrc
	BufferUsage_MapRead               = binding.BufferUsage_MapRead
	BufferUsage_QueryResolve          = binding.BufferUsage_QueryResolve
	BufferUsage_Storage               = binding.BufferUsage_Storage
	BufferUsage_Uniform               = binding.BufferUsage_Uniform
	ColorWriteMask_All                = binding.ColorWriteMask_All
	CompositeAlphaMode_Auto           = binding.CompositeAlphaMode_Auto
	FeatureName_TimestampQuery        = binding.FeatureName_TimestampQuery
	InstanceBackend_DX12              = binding.InstanceBackend_DX12
	InstanceBackend_Metal             = binding.InstanceBackend_Metal
	InstanceBackend_Vulkan            = binding.InstanceBackend_Vulkan
	LoadOp_Clear                      = binding.LoadOp_Clear
	LogLevel_Off                      = binding.LogLevel_Off
	PresentMode_Fifo                  = binding.PresentMode_Fifo
	PrimitiveTopology_TriangleList    = binding.PrimitiveTopology_TriangleList
	QueryType_Timestamp               = binding.QueryType_Timestamp
	ShaderStage_Compute               = binding.ShaderStage_Compute
	ShaderStage_Fragment              = binding.ShaderStage_Fragment
	StoreOp_Store                     = binding.StoreOp_Store
	TextureDimension_2D               = binding.TextureDimension_2D
	TextureFormat_BGRA8Unorm          = binding.TextureFormat_BGRA8Unorm
	TextureFormat_RGBA8Unorm          = binding.TextureFormat_RGBA8Unorm
	TextureUsage_CopySrc              = binding.TextureUsage_CopySrc
	TextureUsage_RenderAttachment     = binding.TextureUsage_RenderAttachment
)

// SetLogLevel sets how much wgpu-native writes to stderr.
var SetLogLevel = binding.SetLogLevel

// CreateInstance makes an instance of wgpu-native.
var CreateInstance = binding.CreateInstance

// Types that only this binding has.
type (
	InstanceDescriptor  = binding.InstanceDescriptor
	DeviceDescriptor    = binding.DeviceDescriptor
	FeatureName         = binding.FeatureName
	RequiredLimits      = binding.RequiredLimits
	SwapChain           = binding.SwapChain
	SwapChainDescriptor = binding.SwapChainDescriptor
)

// Properties describes an adapter and names the graphics interface below it.
func Properties(a *Adapter) (p binding.AdapterProperties, backend string) {
	p = a.GetProperties()
	return p, p.BackendType.String()
}
