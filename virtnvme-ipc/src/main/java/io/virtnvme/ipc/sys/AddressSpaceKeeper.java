package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * Takes the teardown of this process's memory out of its death. A process that is killed frees its
 * page tables before it closes its files, which takes 40-70 ms per GiB of touched 4 KiB pages, and
 * so long a file's lock is held and its successor waits. The keeper is a second process that shares
 * this address space and nothing else: it closes every descriptor, sleeps until the end of this
 * process hangs up its socket, unmaps what holds files in use (an io_uring's mappings hold the
 * ring, and the ring the files of its requests), and ends. So the teardown is the keeper's, at the
 * lowest priority, when the locks are free already. It never stores to memory but for one byte of
 * its own stack.
 *
 * <p>x86-64 only, since the keeper must not run a line of the C library or of the JVM, whose
 * thread-local state is not its own: its program is the machine code below. Elsewhere, or where
 * executable memory is refused, a death takes longer and is right all the same.
 */
public final class AddressSpaceKeeper {
  /** Its name in {@code /proc/PID/comm}; its command line is that of the process it belongs to. */
  public static final String NAME = "vn-keeper";

  private static final int PROT_READ_WRITE = 3;
  private static final int PROT_READ_EXEC = 5;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final int PAGE_BYTES = 4096;
  private static final int CLONE_VM = 0x100;

  // The first page, read and executed only: constants and the program. The second one: the table of
  // mappings {address, length}, an address of 0 marks a free place; then the keeper's stack.
  private static final int ALL_SIGNALS_OFFSET = 0;
  private static final int NAME_OFFSET = 8;
  private static final int NORMAL_PRIORITY_OFFSET = 24;
  private static final int WAITING_PRIORITY_OFFSET = 28;
  private static final int CODE_OFFSET = 64;
  private static final int TABLE_OFFSET = PAGE_BYTES;
  private static final int TABLE_COUNT = 128;
  private static final int ENTRY_LENGTH = 16;

  private static final int SYS_READ = 0;
  private static final int SYS_MUNMAP = 11;
  private static final int SYS_RT_SIGPROCMASK = 14;
  private static final int SYS_SETPRIORITY = 141;
  private static final int SYS_SCHED_SETSCHEDULER = 144;
  private static final int SYS_PRCTL = 157;
  private static final int SYS_EXIT_GROUP = 231;
  private static final int SYS_CLOSE_RANGE = 436;
  private static final int SIG_SETMASK = 2;
  private static final int PR_SET_NAME = 15;
  private static final int SCHED_OTHER = 0;
  private static final int SCHED_FIFO = 1;
  private static final int FIFO_PRIORITY = 1;
  private static final int NICE = 19;
  private static final int EINTR = 4;

  /** Address of the table, 0 while there is no keeper. */
  private static long table;

  private static int keeperPid;

  private AddressSpaceKeeper() {}

  /**
   * Starts the keeper of this process. Call it once, before any file is opened whose lock matters:
   * the keeper holds copies of all descriptors for an instant.
   *
   * @return its process id, or 0 where there is none
   */
  public static synchronized int start() {
    if (!System.getProperty("os.arch").equals("amd64")) {
      return 0;
    }
    final long page = Libc.mmap(0, 2 * PAGE_BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    if (page < 0) {
      return 0;
    }
    new Assembler(page).assemble();
    if (Libc.mprotect(page, PAGE_BYTES, PROT_READ_EXEC) != 0) {
      Libc.munmap(page, 2 * PAGE_BYTES);
      return 0;
    }
    // The other end stays open in this process, and only there, until the kernel closes it.
    final int[] line = UnixSocket.streamPair();
    final int pid = Libc.clone(page + CODE_OFFSET, page + 2 * PAGE_BYTES, CLONE_VM, line[0]);
    Fds.close(line[0]);
    if (pid <= 0) {
      Fds.close(line[1]);
      Libc.munmap(page, 2 * PAGE_BYTES);
      return 0;
    }
    table = page + TABLE_OFFSET;
    keeperPid = pid;
    return pid;
  }

  /** Its process id, or 0 while there is none. Any thread. */
  static synchronized int pid() {
    return keeperPid;
  }

  /**
   * Has the keeper unmap this first, because the mapping keeps a file in use. Does nothing where
   * there is no keeper or its table is full: then the file stays in use for longer. Any thread.
   */
  static synchronized void unmapFirst(final Mapping mapping) {
    final long entry = table == 0 ? 0 : find(0);
    if (entry != 0) {
      // The address last: a process that dies in between leaves a free place.
      Mem.putLong(entry + Long.BYTES, mapping.lengthBytes());
      Mem.putLongRelease(entry, mapping.address());
    }
  }

  /** Before the mapping is closed: its address may be another's soon. Any thread. */
  static synchronized void forget(final Mapping mapping) {
    final long entry = table == 0 ? 0 : find(mapping.address());
    if (entry != 0) {
      Mem.putLongRelease(entry, 0);
    }
  }

  private static long find(final long address) {
    for (int i = 0; i < TABLE_COUNT; i++) {
      if (Mem.getLong(table + (long) i * ENTRY_LENGTH) == address) {
        return table + (long) i * ENTRY_LENGTH;
      }
    }
    return 0;
  }

  /**
   * Writes the keeper's program: rdi holds its end of the socket when it starts. Intel SDM volume 2
   * for the encodings; System V ABI, appendix A.2.1, for system calls.
   */
  private static final class Assembler {
    private final long page;
    private long at;

    Assembler(final long page) {
      this.page = page;
      this.at = page + CODE_OFFSET;
    }

    void assemble() {
      Mem.putLong(page + ALL_SIGNALS_OFFSET, -1L);
      for (int i = 0; i < NAME.length(); i++) {
        Mem.putByte(page + NAME_OFFSET + i, (byte) NAME.charAt(i));
      }
      Mem.putInt(page + NORMAL_PRIORITY_OFFSET, 0);
      Mem.putInt(page + WAITING_PRIORITY_OFFSET, FIFO_PRIORITY);
      code(0x89, 0xFB); // mov ebx, edi
      // Signals are the other process's: its handlers would run here with a foreign stack.
      movEdi(SIG_SETMASK);
      leaRsi(ALL_SIGNALS_OFFSET);
      code(0x31, 0xD2); // xor edx, edx
      code(0x41, 0xBA, 8, 0, 0, 0); // mov r10d, 8
      call(SYS_RT_SIGPROCMASK);
      // It must come first when it is needed, for an instant.
      setScheduler(SCHED_FIFO, WAITING_PRIORITY_OFFSET);
      movEdi(PR_SET_NAME);
      leaRsi(NAME_OFFSET);
      call(SYS_PRCTL);
      code(0x31, 0xFF); // xor edi, edi
      code(0x8D, 0x73, 0xFF); // lea esi, [rbx - 1]
      code(0x31, 0xD2); // xor edx, edx
      call(SYS_CLOSE_RANGE);
      code(0x8D, 0x7B, 0x01); // lea edi, [rbx + 1]
      code(0xBE, 0xFF, 0xFF, 0xFF, 0xFF); // mov esi, ~0
      code(0x31, 0xD2); // xor edx, edx
      call(SYS_CLOSE_RANGE);
      final long loop = at;
      code(0x89, 0xDF); // mov edi, ebx
      code(0x48, 0x8D, 0x74, 0x24, 0xF0); // lea rsi, [rsp - 16]
      code(0xBA, 1, 0, 0, 0); // mov edx, 1
      call(SYS_READ);
      code(0x48, 0x83, 0xF8, -EINTR); // cmp rax, -EINTR
      code(0x74, (int) (loop - (at + 2))); // je loop
      unmapAll();
      setScheduler(SCHED_OTHER, NORMAL_PRIORITY_OFFSET);
      code(0x31, 0xFF); // xor edi, edi: PRIO_PROCESS
      code(0x31, 0xF6); // xor esi, esi: itself
      code(0xBA, NICE, 0, 0, 0); // mov edx, NICE
      call(SYS_SETPRIORITY);
      code(0x31, 0xFF); // xor edi, edi
      call(SYS_EXIT_GROUP);
    }

    private void unmapAll() {
      code(0x48, 0x8D, 0x1D); // lea rbx, [rip + table]
      relative(TABLE_OFFSET);
      code(0xBD, TABLE_COUNT, 0, 0, 0); // mov ebp, TABLE_COUNT
      final long loop = at;
      code(0x48, 0x8B, 0x3B); // mov rdi, [rbx]
      code(0x48, 0x8B, 0x73, 0x08); // mov rsi, [rbx + 8]
      code(0x48, 0x85, 0xFF); // test rdi, rdi
      code(0x74, 7); // jz over the call
      call(SYS_MUNMAP);
      code(0x48, 0x83, 0xC3, ENTRY_LENGTH); // add rbx, ENTRY_LENGTH
      code(0xFF, 0xCD); // dec ebp
      code(0x75, (int) (loop - (at + 2))); // jnz loop
    }

    private void setScheduler(final int policy, final int priorityOffset) {
      code(0x31, 0xFF); // xor edi, edi: itself
      code(0xBE, policy, 0, 0, 0); // mov esi, policy
      code(0x48, 0x8D, 0x15); // lea rdx, [rip + priority]
      relative(priorityOffset);
      call(SYS_SCHED_SETSCHEDULER);
    }

    private void movEdi(final int value) {
      code(0xBF, value, 0, 0, 0);
    }

    /** lea rsi, [rip + distance]. */
    private void leaRsi(final int dataOffset) {
      code(0x48, 0x8D, 0x35);
      relative(dataOffset);
    }

    /** The last four bytes of an instruction: the distance from its end. */
    private void relative(final int dataOffset) {
      Mem.putInt(at, (int) (page + dataOffset - (at + Integer.BYTES)));
      at += Integer.BYTES;
    }

    /** mov eax, number; syscall. */
    private void call(final int number) {
      code(0xB8);
      Mem.putInt(at, number);
      at += Integer.BYTES;
      code(0x0F, 0x05);
    }

    private void code(final int... bytes) {
      for (final int value : bytes) {
        Mem.putByte(at++, (byte) value);
      }
    }
  }
}
