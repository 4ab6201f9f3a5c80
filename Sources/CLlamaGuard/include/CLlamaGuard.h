// The guarded calls are declared in CLlama's shim.h, beside the types that they take.
