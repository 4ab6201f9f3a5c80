// The emulator.
