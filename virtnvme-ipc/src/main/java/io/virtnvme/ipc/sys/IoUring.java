package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * One io_uring instance, driven by the thread that created or {@linkplain #enable enabled} it.
 * Prepare requests, {@link #submit} them in one call, read completions with {@link #peek} and
 * {@link #advance}. Nothing here allocates after construction.
 *
 * <p>With COOP_TASKRUN completions appear when the thread enters the kernel, at the latest inside
 * {@link #submitAndReap}; {@link #needsReap} tells from shared memory, without a system call, that
 * some wait. Kernels before 5.19 get a plain ring, with the same methods. Not DEFER_TASKRUN: see
 * docs/decisions/bdev-uring.md. To block, register an eventfd.
 *
 * <p>Source: Linux {@code include/uapi/linux/io_uring.h}.
 */
public final class IoUring implements AutoCloseable {
  /** How completions are delivered; the best that the kernel has. */
  public enum Mode {
    COOP_TASKRUN,
    PLAIN
  }

  private static final long SYS_IO_URING_SETUP = 425;
  private static final long SYS_IO_URING_ENTER = 426;
  private static final long SYS_IO_URING_REGISTER = 427;

  private static final int SETUP_CQSIZE = 1 << 3;
  private static final int SETUP_CLAMP = 1 << 4;
  private static final int SETUP_R_DISABLED = 1 << 6;
  private static final int SETUP_COOP_TASKRUN = 1 << 8;
  private static final int SETUP_TASKRUN_FLAG = 1 << 9;
  private static final int FEATURE_SINGLE_MMAP = 1;
  private static final int FEATURE_NODROP = 1 << 1;
  private static final int ENTER_GETEVENTS = 1;
  private static final int SQ_CQ_OVERFLOW = 1 << 1;
  private static final int SQ_TASKRUN = 1 << 2;
  private static final long OFFSET_SQ_RING = 0;
  private static final long OFFSET_SQES = 0x10000000L;
  private static final int REGISTER_BUFFERS = 0;
  private static final int UNREGISTER_BUFFERS = 1;
  private static final int REGISTER_EVENTFD = 4;
  private static final int REGISTER_ENABLE_RINGS = 12;
  private static final int CQ_EVENTFD_DISABLED = 1;
  private static final int EBADFD = 77;

  public static final byte OP_NOP = 0;
  public static final byte OP_READV = 1;
  public static final byte OP_WRITEV = 2;
  public static final byte OP_FSYNC = 3;
  public static final byte OP_READ_FIXED = 4;
  public static final byte OP_WRITE_FIXED = 5;
  public static final byte OP_FALLOCATE = 17;
  public static final byte OP_READ = 22;
  public static final byte OP_WRITE = 23;
  public static final int FSYNC_DATASYNC = 1;
  public static final int RWF_DSYNC = 2;

  // struct io_uring_params
  private static final int PARAMS_FLAGS_OFFSET = 8;
  private static final int PARAMS_CQ_ENTRIES_OFFSET = 4;
  private static final int PARAMS_FEATURES_OFFSET = 20;
  private static final int PARAMS_SQ_OFFSETS = 40;
  private static final int PARAMS_CQ_OFFSETS = 80;
  private static final int PARAMS_LENGTH = 120;

  private static final int SQE_LENGTH = 64;
  private static final int CQE_LENGTH = 16;

  private final int fd;
  private final Mode mode;
  private final Mapping ring;
  private final Mapping sqes;
  private final int entries;
  private final int cqEntries;
  private final long sqHead;
  private final long sqTail;
  private final int sqMask;
  private final long sqFlags;
  private final long cqHead;
  private final long cqTail;
  private final int cqMask;
  private final long cqFlags;
  private final long cqes;

  private int preparedTail;
  private int reapedHead;

  /**
   * Creates a ring of {@code entryCount} submissions and {@code completionCount} completions, both
   * rounded up to powers of two. Throws {@link SysException}: ENOSYS or EPERM when the kernel or a
   * sandbox forbids io_uring.
   */
  public IoUring(final int entryCount, final int completionCount) {
    this(entryCount, completionCount, 0);
  }

  /**
   * A ring that takes nothing until {@link #enable}: made beforehand by another thread than the one
   * that will drive it.
   */
  public static IoUring disabled(final int entryCount, final int completionCount) {
    return new IoUring(entryCount, completionCount, SETUP_R_DISABLED);
  }

  private IoUring(final int entryCount, final int completionCount, final int flags) {
    final long params = Mem.allocate(PARAMS_LENGTH);
    try {
      int created =
          setup(
              params, entryCount, completionCount, flags | SETUP_COOP_TASKRUN | SETUP_TASKRUN_FLAG);
      Mode createdMode = Mode.COOP_TASKRUN;
      if (created == -Errno.EINVAL) {
        created = setup(params, entryCount, completionCount, flags);
        createdMode = Mode.PLAIN;
      }
      if (created < 0) {
        throw new SysException("io_uring_setup of " + entryCount + " entries", -created);
      }
      fd = created;
      mode = createdMode;
      final int features = Mem.getInt(params + PARAMS_FEATURES_OFFSET);
      if ((features & FEATURE_SINGLE_MMAP) == 0 || (features & FEATURE_NODROP) == 0) {
        Fds.close(fd);
        throw new SysException(
            "io_uring features " + Integer.toHexString(features) + " (Linux 5.5 or newer needed)",
            Errno.ENOSYS);
      }
      entries = Mem.getInt(params);
      cqEntries = Mem.getInt(params + PARAMS_CQ_ENTRIES_OFFSET);
      final long sq = params + PARAMS_SQ_OFFSETS;
      final long cq = params + PARAMS_CQ_OFFSETS;
      final long sqArrayOffset = Mem.getInt(sq + 24);
      final long cqesOffset = Mem.getInt(cq + 20);
      final long ringLength =
          Math.max(
              sqArrayOffset + (long) entries * Integer.BYTES,
              cqesOffset + (long) cqEntries * CQE_LENGTH);
      ring = Mapping.map(fd, OFFSET_SQ_RING, ringLength);
      sqes = Mapping.map(fd, OFFSET_SQES, (long) entries * SQE_LENGTH);
      AddressSpaceKeeper.unmapFirst(ring);
      AddressSpaceKeeper.unmapFirst(sqes);
      final long base = ring.address();
      sqHead = base + Mem.getInt(sq);
      sqTail = base + Mem.getInt(sq + 4);
      sqMask = Mem.getInt(base + Mem.getInt(sq + 8));
      sqFlags = base + Mem.getInt(sq + 16);
      cqHead = base + Mem.getInt(cq);
      cqTail = base + Mem.getInt(cq + 4);
      cqMask = Mem.getInt(base + Mem.getInt(cq + 8));
      cqFlags = base + Mem.getInt(cq + 24);
      cqes = base + cqesOffset;
      for (int i = 0; i < entries; i++) {
        Mem.putInt(base + sqArrayOffset + (long) i * Integer.BYTES, i);
      }
      preparedTail = Mem.getInt(sqTail);
      reapedHead = Mem.getInt(cqHead);
    } finally {
      Mem.free(params);
    }
  }

  private static int setup(
      final long params, final int entryCount, final int completionCount, final int flags) {
    Mem.fill(params, PARAMS_LENGTH, (byte) 0);
    Mem.putInt(params + PARAMS_FLAGS_OFFSET, flags | SETUP_CQSIZE | SETUP_CLAMP);
    Mem.putInt(params + PARAMS_CQ_ENTRIES_OFFSET, completionCount);
    return (int) Sys.orErrno(Libc.syscall(SYS_IO_URING_SETUP, entryCount, params, 0, 0, 0, 0));
  }

  public Mode mode() {
    return mode;
  }

  /**
   * Gives a {@link #disabled} ring to the calling thread, which drives it from now on. Does nothing
   * for a ring that is enabled.
   */
  public void enable() {
    final int result =
        (int)
            Sys.orErrno(Libc.syscall(SYS_IO_URING_REGISTER, fd, REGISTER_ENABLE_RINGS, 0, 0, 0, 0));
    if (result < 0 && result != -EBADFD) {
      throw new SysException("enabling of an io_uring", -result);
    }
  }

  /** From now on a completion signals {@code eventFd}; see {@link #signalEventFd}. */
  public void registerEventFd(final int eventFd) {
    final long word = Mem.allocate(Integer.BYTES);
    try {
      Mem.putInt(word, eventFd);
      Sys.check(
          (int) Libc.syscall(SYS_IO_URING_REGISTER, fd, REGISTER_EVENTFD, word, 1, 0, 0),
          "registering of an eventfd with an io_uring");
    } finally {
      Mem.free(word);
    }
  }

  /**
   * Switches the signals to the registered eventfd on before the thread blocks, or off while it
   * polls. Who switches them on looks for completions once more before it blocks.
   */
  public void signalEventFd(final boolean wanted) {
    Mem.putInt(cqFlags, wanted ? 0 : CQ_EVENTFD_DISABLED);
    Mem.fullFence();
  }

  /** How many completions fit; a caller keeps no more requests than this in flight. */
  public int completionCapacity() {
    return cqEntries;
  }

  /** Free submission entries. */
  public int room() {
    return entries - unsubmittedCount();
  }

  /**
   * Fills one submission entry; the caller has checked {@link #room}. The meaning of {@code
   * address}, {@code length} and {@code operationFlags} depends on {@code opcode} as in {@code
   * struct io_uring_sqe}.
   */
  public void prepare(
      final byte opcode,
      final int targetFd,
      final long offsetBytes,
      final long address,
      final int length,
      final int operationFlags,
      final int bufferIndex,
      final long userData) {
    final long sqe = sqes.address() + (long) (preparedTail & sqMask) * SQE_LENGTH;
    Mem.putLong(sqe, (opcode & 0xFFL) | ((long) targetFd << 32));
    Mem.putLong(sqe + 8, offsetBytes);
    Mem.putLong(sqe + 16, address);
    Mem.putLong(sqe + 24, (length & 0xFFFFFFFFL) | ((long) operationFlags << 32));
    Mem.putLong(sqe + 32, userData);
    Mem.putLong(sqe + 40, bufferIndex & 0xFFFFL);
    Mem.putLong(sqe + 48, 0);
    Mem.putLong(sqe + 56, 0);
    preparedTail++;
  }

  /**
   * Hands everything prepared to the kernel; the number taken, or a negative error number (EAGAIN,
   * EBUSY: try later).
   */
  public int submit() {
    final int count = unsubmittedCount();
    return count == 0 ? 0 : enter(count, 0, 0);
  }

  /**
   * Submits what is prepared and lets finished requests post their completions; waits for {@code
   * completionCountMin}.
   */
  public int submitAndReap(final int completionCountMin) {
    return enter(unsubmittedCount(), completionCountMin, ENTER_GETEVENTS);
  }

  private int enter(final int count, final int completionCountMin, final int flags) {
    Mem.putIntRelease(sqTail, preparedTail);
    return (int)
        Sys.orErrno(Libc.syscall(SYS_IO_URING_ENTER, fd, count, completionCountMin, flags, 0, 0));
  }

  /**
   * Requests prepared but not yet taken by the kernel; read from what the kernel says, so it stays
   * true when an asynchronous error hid the result of {@link #submit}.
   */
  public int unsubmittedCount() {
    return preparedTail - Mem.getIntAcquire(sqHead);
  }

  /** Requests prepared whose completion was not given back by {@link #advance}. */
  public int outstandingCount() {
    return preparedTail - reapedHead;
  }

  /** True when the kernel holds finished requests back until the next {@link #submitAndReap}. */
  public boolean needsReap() {
    return (Mem.getIntAcquire(sqFlags) & (SQ_TASKRUN | SQ_CQ_OVERFLOW)) != 0;
  }

  /** Address of the oldest completion, or 0 when there is none. */
  public long peek() {
    return reapedHead == Mem.getIntAcquire(cqTail)
        ? 0
        : cqes + (long) (reapedHead & cqMask) * CQE_LENGTH;
  }

  public static long userData(final long completion) {
    return Mem.getLong(completion);
  }

  /** Bytes transferred, or a negative error number. */
  public static int result(final long completion) {
    return Mem.getInt(completion + 8);
  }

  /** Gives the entry of {@link #peek} back to the kernel. */
  public void advance() {
    reapedHead++;
    Mem.putIntRelease(cqHead, reapedHead);
  }

  /**
   * Registers buffers from an array of {@code struct iovec}; 0 or a negative error number (ENOMEM:
   * memlock limit).
   */
  public int registerBuffers(final long iovecs, final int count) {
    return (int)
        Sys.orErrno(Libc.syscall(SYS_IO_URING_REGISTER, fd, REGISTER_BUFFERS, iovecs, count, 0, 0));
  }

  public int unregisterBuffers() {
    return (int)
        Sys.orErrno(Libc.syscall(SYS_IO_URING_REGISTER, fd, UNREGISTER_BUFFERS, 0, 0, 0, 0));
  }

  @Override
  public void close() {
    AddressSpaceKeeper.forget(sqes);
    AddressSpaceKeeper.forget(ring);
    sqes.close();
    ring.close();
    Fds.close(fd);
  }
}
