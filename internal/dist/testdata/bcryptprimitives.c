/* The one function of Windows' bcryptprimitives.dll that Go's programs want, which Wine lacks before its version 9. */

#include <windows.h>

BOOLEAN NTAPI SystemFunction036(void *data, ULONG length); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
	return SystemFunction036(data, (ULONG)length);
}
