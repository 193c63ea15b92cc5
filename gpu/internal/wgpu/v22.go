//go:build cgo && wgpu22 && (amd64 || arm64) && (darwin || linux || windows)

package wgpu

import binding "github.com/cogentcore/webgpu/wgpu"

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
	AdapterType_CPU                   = binding.AdapterTypeCPU
	AdapterType_DiscreteGPU           = binding.AdapterTypeDiscreteGPU
	AdapterType_IntegratedGPU         = binding.AdapterTypeIntegratedGPU
	BufferBindingType_ReadOnlyStorage = binding.BufferBindingTypeReadOnlyStorage
	BufferBindingType_Storage         = binding.BufferBindingTypeStorage
	BufferBindingType_Uniform         = binding.BufferBindingTypeUniform
	BufferUsage_CopyDst               = binding.BufferUsageCopyDst
	BufferUsage_CopySrc               = binding.BufferUsageCopySrc
	BufferUsage_MapRead               = binding.BufferUsageMapRead
	BufferUsage_QueryResolve          = binding.BufferUsageQueryResolve
	BufferUsage_Storage               = binding.BufferUsageStorage
	BufferUsage_Uniform               = binding.BufferUsageUniform
	ColorWriteMask_All                = binding.ColorWriteMaskAll
	CompositeAlphaMode_Auto           = binding.CompositeAlphaModeAuto
	FeatureName_TimestampQuery        = binding.FeatureNameTimestampQuery
	InstanceBackend_DX12              = binding.InstanceBackendDX12
	InstanceBackend_Metal             = binding.InstanceBackendMetal
	InstanceBackend_Vulkan            = binding.InstanceBackendVulkan
	LoadOp_Clear                      = binding.LoadOpClear
	LogLevel_Off                      = binding.LogLevelOff
	PresentMode_Fifo                  = binding.PresentModeFifo
	PrimitiveTopology_TriangleList    = binding.PrimitiveTopologyTriangleList
	QueryType_Timestamp               = binding.QueryTypeTimestamp
	ShaderStage_Compute               = binding.ShaderStageCompute
	ShaderStage_Fragment              = binding.ShaderStageFragment
	StoreOp_Store                     = binding.StoreOpStore
	TextureDimension_2D               = binding.TextureDimension2D
	TextureFormat_BGRA8Unorm          = binding.TextureFormatBGRA8Unorm
	TextureFormat_RGBA8Unorm          = binding.TextureFormatRGBA8Unorm
	TextureUsage_CopySrc              = binding.TextureUsageCopySrc
	TextureUsage_RenderAttachment     = binding.TextureUsageRenderAttachment
)

// SetLogLevel sets how much wgpu-native writes to stderr.
var SetLogLevel = binding.SetLogLevel

// A type that only this binding has.
type SurfaceConfiguration = binding.SurfaceConfiguration

var backends = map[binding.BackendType]string{
	binding.BackendTypeVulkan: "Vulkan", binding.BackendTypeMetal: "Metal", binding.BackendTypeD3D12: "D3D12", binding.BackendTypeD3D11: "D3D11",
	binding.BackendTypeOpenGL: "OpenGL", binding.BackendTypeOpenGLES: "OpenGLES",
}

// Properties describes an adapter and names the graphics interface below it. This wgpu-native does not say which driver it
// uses, so its own name is given instead: what was tuned with one binding does not apply to the other.
func Properties(a *Adapter) (p binding.AdapterInfo, backend string) {
	p = a.GetInfo()
	p.Name, p.VendorName, p.DriverDescription = p.DriverDescription, "", "through wgpu-native 22"
	return p, backends[p.BackendType]
}
