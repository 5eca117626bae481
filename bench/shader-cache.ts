/** Leaves out the caches of shaders that drivers keep on disk: compile times are then those of a user's first run. Call it before a device is opened. */
export function leaveOutShaderCaches(): void {
  process.env.MESA_SHADER_CACHE_DISABLE ??= 'true';
  process.env.__GL_SHADER_DISK_CACHE ??= '0';
}
