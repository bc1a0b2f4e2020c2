/* Linked with the whole of one room and with what that may include: it lacks nothing (src/rooms). */
int main(void) { return 0; }
