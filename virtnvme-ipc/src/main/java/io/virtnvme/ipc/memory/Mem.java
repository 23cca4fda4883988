package io.virtnvme.ipc.memory;

import org.agrona.UnsafeApi;

/**
 * Loads and stores of off-heap memory by absolute address, little endian, without bounds checks:
 * the caller has checked.
 *
 * <p>Plain accesses may be reordered by the JIT. {@code ...Release} stores stay behind every
 * earlier load and store, {@code ...Acquire} loads before every later one. A killed process leaves
 * every store that it retired, in program order, so a release store is all that a journal needs to
 * survive the death of its writer.
 *
 * <p>A {@link StoreListener} sees each store before it happens when the JVM runs with {@code
 * -Dvirtnvme.mem.record=true}: tests cut an operation at each of its stores. The switch is a
 * constant, so the JIT leaves no trace of it on the data path.
 */
public final class Mem {
  /**
   * Sees each store made through {@link Mem} while recording; called on the storing thread, before
   * the store.
   */
  public interface StoreListener {
    /**
     * Called before each store.
     *
     * @param address absolute address of the first byte
     * @param lengthBytes 1, 2, 4 or 8, or any length for a copy or fill
     */
    void onStore(long address, int lengthBytes);

    /** Called before each full fence. */
    default void onFence() {}
  }

  private static final boolean RECORDING = Boolean.getBoolean("virtnvme.mem.record");
  private static StoreListener listener;

  private Mem() {}

  /**
   * Sets the listener for this JVM, or none with {@code null}. Needs {@code
   * -Dvirtnvme.mem.record=true}.
   */
  public static void listener(final StoreListener newListener) {
    if (!RECORDING) {
      throw new IllegalStateException(
          "stores are not recorded: start the JVM with -Dvirtnvme.mem.record=true");
    }
    listener = newListener;
  }

  private static void record(final long address, final int lengthBytes) {
    final StoreListener current = listener;
    if (current != null) {
      current.onStore(address, lengthBytes);
    }
  }

  public static byte getByte(final long address) {
    return UnsafeApi.getByte(address);
  }

  public static short getShort(final long address) {
    return UnsafeApi.getShort(address);
  }

  /** An unsigned 16-bit load, as 0..65535. */
  public static int getUnsignedShort(final long address) {
    return UnsafeApi.getShort(address) & 0xFFFF;
  }

  public static int getInt(final long address) {
    return UnsafeApi.getInt(address);
  }

  public static long getLong(final long address) {
    return UnsafeApi.getLong(address);
  }

  /** An unsigned 16-bit load with acquire, as 0..65535. */
  public static int getUnsignedShortAcquire(final long address) {
    return UnsafeApi.getShortAcquire(null, address) & 0xFFFF;
  }

  public static int getIntAcquire(final long address) {
    return UnsafeApi.getIntAcquire(null, address);
  }

  public static long getLongAcquire(final long address) {
    return UnsafeApi.getLongAcquire(null, address);
  }

  public static void putByte(final long address, final byte value) {
    if (RECORDING) {
      record(address, Byte.BYTES);
    }
    UnsafeApi.putByte(address, value);
  }

  public static void putShort(final long address, final short value) {
    if (RECORDING) {
      record(address, Short.BYTES);
    }
    UnsafeApi.putShort(address, value);
  }

  public static void putInt(final long address, final int value) {
    if (RECORDING) {
      record(address, Integer.BYTES);
    }
    UnsafeApi.putInt(address, value);
  }

  public static void putLong(final long address, final long value) {
    if (RECORDING) {
      record(address, Long.BYTES);
    }
    UnsafeApi.putLong(address, value);
  }

  public static void putByteRelease(final long address, final byte value) {
    if (RECORDING) {
      record(address, Byte.BYTES);
    }
    UnsafeApi.putByteRelease(null, address, value);
  }

  public static void putShortRelease(final long address, final short value) {
    if (RECORDING) {
      record(address, Short.BYTES);
    }
    UnsafeApi.putShortRelease(null, address, value);
  }

  public static void putIntRelease(final long address, final int value) {
    if (RECORDING) {
      record(address, Integer.BYTES);
    }
    UnsafeApi.putIntRelease(null, address, value);
  }

  public static void putLongRelease(final long address, final long value) {
    if (RECORDING) {
      record(address, Long.BYTES);
    }
    UnsafeApi.putLongRelease(null, address, value);
  }

  public static boolean compareAndSetLong(
      final long address, final long expected, final long value) {
    if (RECORDING) {
      record(address, Long.BYTES);
    }
    return UnsafeApi.compareAndSetLong(null, address, expected, value);
  }

  /**
   * Sets bits atomically and returns the byte as it was; for bitmaps that another process clears.
   */
  public static byte getAndBitwiseOrByte(final long address, final byte mask) {
    if (RECORDING) {
      record(address, Byte.BYTES);
    }
    return UnsafeApi.getAndBitwiseOrByte(null, address, mask);
  }

  /** Sets bits atomically and returns the word as it was. */
  public static long getAndBitwiseOrLong(final long address, final long mask) {
    if (RECORDING) {
      record(address, Long.BYTES);
    }
    return UnsafeApi.getAndBitwiseOrLong(null, address, mask);
  }

  /** Clears the bits that the mask does not have, atomically, and returns the word as it was. */
  public static long getAndBitwiseAndLong(final long address, final long mask) {
    if (RECORDING) {
      record(address, Long.BYTES);
    }
    return UnsafeApi.getAndBitwiseAndLong(null, address, mask);
  }

  /** Adds atomically and returns the value as it was. */
  public static long getAndAddLong(final long address, final long delta) {
    if (RECORDING) {
      record(address, Long.BYTES);
    }
    return UnsafeApi.getAndAddLong(null, address, delta);
  }

  /**
   * Orders every earlier load and store before every later one (a store followed by a load of
   * another word needs it).
   */
  public static void fullFence() {
    if (RECORDING && listener != null) {
      listener.onFence();
    }
    UnsafeApi.fullFence();
  }

  public static void copy(final long source, final long destination, final long lengthBytes) {
    if (RECORDING) {
      record(destination, (int) lengthBytes);
    }
    UnsafeApi.copyMemory(source, destination, lengthBytes);
  }

  public static void fill(final long address, final long lengthBytes, final byte value) {
    if (RECORDING) {
      record(address, (int) lengthBytes);
    }
    UnsafeApi.setMemory(address, lengthBytes, value);
  }

  public static void copyIn(
      final byte[] source, final int index, final long destination, final int lengthBytes) {
    if (RECORDING) {
      record(destination, lengthBytes);
    }
    UnsafeApi.copyMemory(
        source, UnsafeApi.arrayBaseOffset(byte[].class) + index, null, destination, lengthBytes);
  }

  public static void copyOut(
      final long source, final byte[] destination, final int index, final int lengthBytes) {
    UnsafeApi.copyMemory(
        null, source, destination, UnsafeApi.arrayBaseOffset(byte[].class) + index, lengthBytes);
  }

  /** Allocates private zeroed memory; ends with {@link #free}. */
  public static long allocate(final long lengthBytes) {
    final long address = UnsafeApi.allocateMemory(lengthBytes);
    UnsafeApi.setMemory(address, lengthBytes, (byte) 0);
    return address;
  }

  public static void free(final long address) {
    UnsafeApi.freeMemory(address);
  }
}
