/*
 * A person at a console of Windows: console OUT COMMAND STEP... starts a command line in a console of its own and does
 * the steps, of which ?TEXT waits until the screen shows a text, @FILE until there is one, !TEXT types it and Enter, and ^C is Ctrl-C. OUT gets what
 * the screen shows at the end, and a line "exit N". Steps that take more than two minutes end it all, with exit code 3.
 */

#include <stdio.h>
#include <wchar.h>
#include <windows.h>

enum { WIDTH = 120, HEIGHT = 300, PATIENCE = 120000, PAUSE = 20 };

static HANDLE screen, keys, child;
static wchar_t shown[HEIGHT][WIDTH + 1];

static void look(void)
{
	for (SHORT y = 0; y < HEIGHT; y++) {
		DWORD n = 0;
		ReadConsoleOutputCharacterW(screen, shown[y], WIDTH, (COORD){0, y}, &n);
		while (n > 0 && shown[y][n - 1] == L' ') n--;
		shown[y][n] = 0;
	}
}

static int end(const wchar_t *path, const wchar_t *why, int code)
{
	DWORD status = 0;
	char line[4 * WIDTH];
	int last = 0;
	FILE *out = _wfopen(path, L"wb");
	look();
	for (int y = 0; y < HEIGHT; y++)
		if (shown[y][0]) last = y;
	for (int y = 0; y <= last; y++) {
		WideCharToMultiByte(CP_UTF8, 0, shown[y], -1, line, sizeof line, NULL, NULL);
		fprintf(out, "%s\n", line);
	}
	GetExitCodeProcess(child, &status);
	fprintf(out, "exit %lu\n", status);
	if (why) {
		WideCharToMultiByte(CP_UTF8, 0, why, -1, line, sizeof line, NULL, NULL);
		fprintf(out, "waited in vain for %s\n", line);
		TerminateProcess(child, 1);
	}
	fclose(out);
	return code;
}

static void type(wchar_t c)
{
	INPUT_RECORD r = {.EventType = KEY_EVENT};
	DWORD n;
	r.Event.KeyEvent.bKeyDown = TRUE;
	r.Event.KeyEvent.wRepeatCount = 1;
	r.Event.KeyEvent.uChar.UnicodeChar = c;
	r.Event.KeyEvent.wVirtualKeyCode = c == L'\r' ? VK_RETURN : 0;
	WriteConsoleInputW(keys, &r, 1, &n);
	r.Event.KeyEvent.bKeyDown = FALSE;
	WriteConsoleInputW(keys, &r, 1, &n);
}

int wmain(int argc, wchar_t **argv)
{
	STARTUPINFOW start = {.cb = sizeof start};
	PROCESS_INFORMATION made;

	if (argc < 3) return 2;
	FreeConsole();
	if (!AllocConsole()) return 4;
	screen = CreateFileW(L"CONOUT$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
	keys = CreateFileW(L"CONIN$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
	SetConsoleScreenBufferSize(screen, (COORD){WIDTH, HEIGHT});
	SetHandleInformation(screen, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
	SetHandleInformation(keys, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
	start.dwFlags = STARTF_USESTDHANDLES;
	start.hStdInput = keys;
	start.hStdOutput = start.hStdError = screen;
	if (!CreateProcessW(NULL, argv[2], NULL, NULL, TRUE, 0, NULL, NULL, &start, &made)) return 5;
	child = made.hProcess;
	SetConsoleCtrlHandler(NULL, TRUE); /* after the child was made, which would inherit it */
	for (int i = 3; i < argc; i++) {
		const wchar_t *step = argv[i];
		if (*step == L'?') {
			for (int waited = 0, found = 0; !found; waited += PAUSE) {
				look();
				for (int y = 0; y < HEIGHT && !found; y++) found = wcsstr(shown[y], step + 1) != NULL;
				if (!found && (waited > PATIENCE || WaitForSingleObject(child, PAUSE) == WAIT_OBJECT_0)) {
					look();
					for (int y = 0; y < HEIGHT && !found; y++) found = wcsstr(shown[y], step + 1) != NULL;
					if (!found) return end(argv[1], step + 1, 3);
				}
			}
		} else if (*step == L'@') {
			for (int waited = 0; GetFileAttributesW(step + 1) == INVALID_FILE_ATTRIBUTES; waited += PAUSE) {
				if (waited > PATIENCE) return end(argv[1], step + 1, 3);
				Sleep(PAUSE);
			}
		} else if (*step == L'!') {
			for (step++; *step; step++) type(*step);
			type(L'\r');
		} else {
			GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0);
		}
	}
	if (WaitForSingleObject(child, PATIENCE) != WAIT_OBJECT_0) return end(argv[1], L"its end", 3);
	return end(argv[1], NULL, 0);
}
