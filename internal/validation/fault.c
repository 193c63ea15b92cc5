// A deliberate fault for Vulkan's validation layer: two writes to the same bytes of a buffer without a barrier between
// them. What finds nothing here does not look.
#include <stdio.h>
#include <vulkan/vulkan.h>

#define TRY(call) do { VkResult r = (call); if (r != VK_SUCCESS) { fprintf(stderr, "%s: %d\n", #call, r); return 1; } } while (0)

int main(void) {
	VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1};
	VkInstanceCreateInfo instanceInfo = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app};
	VkInstance instance;
	TRY(vkCreateInstance(&instanceInfo, NULL, &instance));
	uint32_t one = 1;
	VkPhysicalDevice gpu;
	vkEnumeratePhysicalDevices(instance, &one, &gpu);
	if (one == 0) {
		fprintf(stderr, "no device\n");
		return 1;
	}
	float priority = 1;
	VkDeviceQueueCreateInfo queueInfo = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
	VkDeviceCreateInfo deviceInfo = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queueInfo};
	VkDevice device;
	TRY(vkCreateDevice(gpu, &deviceInfo, NULL, &device));
	VkBufferCreateInfo bufferInfo = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = 256, .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
	VkBuffer buffer;
	TRY(vkCreateBuffer(device, &bufferInfo, NULL, &buffer));
	VkMemoryRequirements needs;
	vkGetBufferMemoryRequirements(device, buffer, &needs);
	uint32_t type = 0;
	while (!(needs.memoryTypeBits >> type & 1)) type++;
	VkMemoryAllocateInfo memoryInfo = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = needs.size, .memoryTypeIndex = type};
	VkDeviceMemory memory;
	TRY(vkAllocateMemory(device, &memoryInfo, NULL, &memory));
	TRY(vkBindBufferMemory(device, buffer, memory, 0));
	VkCommandPoolCreateInfo poolInfo = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
	VkCommandPool pool;
	TRY(vkCreateCommandPool(device, &poolInfo, NULL, &pool));
	VkCommandBufferAllocateInfo commandsInfo = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool, .commandBufferCount = 1};
	VkCommandBuffer commands;
	TRY(vkAllocateCommandBuffers(device, &commandsInfo, &commands));
	VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
	TRY(vkBeginCommandBuffer(commands, &begin));
	vkCmdFillBuffer(commands, buffer, 0, 256, 1);
	vkCmdFillBuffer(commands, buffer, 0, 256, 2);
	TRY(vkEndCommandBuffer(commands));
	return 0;
}
