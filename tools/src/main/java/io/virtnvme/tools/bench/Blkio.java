package io.virtnvme.tools.bench;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * The functions of libblkio that drive a disk, mapped directly; pointers and sizes are {@code
 * long}, a {@code long*} is the address of one. Those that give an {@code int} give 0 or a negative
 * error number, {@link #blkioq_do_io} a count.
 *
 * <p>Source: blkio(3) of libblkio 1.x.
 */
final class Blkio {
  /** {@code struct blkio_mem_region}: address, iova, length, offset in the file, file, flags. */
  static final int REGION_BYTES = 40;

  static final int REGION_ADDRESS_OFFSET = 0;

  /** {@code struct blkio_completion}: the caller's word, error message, result, reserved. */
  static final int COMPLETION_BYTES = 32;

  static final int COMPLETION_WORD_OFFSET = 0;
  static final int COMPLETION_RESULT_OFFSET = 16;

  private Blkio() {}

  /**
   * Loads the library; to be called before anything else.
   *
   * @param library a path, or a name for the system's linker
   * @throws BenchException when it is not there or cannot be loaded
   */
  static void load(final String library) {
    try {
      Native.register(Blkio.class, NativeLibrary.getInstance(library));
    } catch (final UnsatisfiedLinkError e) {
      throw new BenchException(
          "libblkio cannot be loaded from "
              + library
              + ": name a file with --client libblkio:FILE ("
              + e.getMessage().lines().findFirst().orElse("")
              + ")");
    }
  }

  static native int blkio_create(String driver, long handleAddress);

  static native void blkio_destroy(long handleAddress);

  static native String blkio_get_error_msg();

  static native int blkio_set_str(long handle, String name, String value);

  static native int blkio_set_int(long handle, String name, int value);

  static native int blkio_get_uint64(long handle, String name, long valueAddress);

  static native int blkio_connect(long handle);

  static native int blkio_start(long handle);

  static native int blkio_alloc_mem_region(long handle, long regionAddress, long lengthBytes);

  static native int blkio_map_mem_region(long handle, long regionAddress);

  static native long blkio_get_queue(long handle, int index);

  static native void blkioq_read(
      long queue, long startBytes, long address, long lengthBytes, long word, int flags);

  static native void blkioq_write(
      long queue, long startBytes, long address, long lengthBytes, long word, int flags);

  static native void blkioq_flush(long queue, long word, int flags);

  static native int blkioq_do_io(
      long queue, long completionsAddress, int countMin, int countMax, long timeoutAddress);
}
