/** Turns off the shader caches that drivers keep on disk, so that compile times are those of a user's first run. Call it before a device is opened. */
export function disableShaderCaches(): void {
  process.env.MESA_SHADER_CACHE_DISABLE ??= 'true';
  process.env.__GL_SHADER_DISK_CACHE ??= '0';
}
