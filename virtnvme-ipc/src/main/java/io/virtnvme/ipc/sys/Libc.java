package io.virtnvme.ipc.sys;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * The C library, mapped directly. Pointers and sizes are {@code long}. Variadic functions are
 * declared with the fixed argument list that we use, which the calling conventions of Linux on
 * x86-64 and AArch64 allow for integers.
 */
final class Libc {
  /** Where JNA looks for libraries by name, beside the linker's own places. */
  private static final String SEARCH_PATH = "jna.platform.library.path";

  static {
    // We look for none. Left unset, JNA runs ldconfig to find out, in each process that starts.
    if (System.getProperty(SEARCH_PATH) == null) {
      System.setProperty(SEARCH_PATH, "");
    }
    // What this process is linked with; by its name, JNA would look for it in folders.
    Native.register(Libc.class, NativeLibrary.getProcess());
  }

  private Libc() {}

  static native int open(String path, int flags, int mode);

  static native int close(int fd);

  static native int fcntl(int fd, int command, long argument);

  static native int ftruncate(int fd, long lengthBytes);

  static native int fallocate(int fd, int mode, long offsetBytes, long lengthBytes);

  static native int fstat(int fd, long statAddress);

  static native int ioctl(int fd, long request, long argument);

  static native int flock(int fd, int operation);

  static native long read(int fd, long address, long lengthBytes);

  static native long write(int fd, long address, long lengthBytes);

  static native long pread(int fd, long address, long lengthBytes, long offsetBytes);

  static native long pwrite(int fd, long address, long lengthBytes, long offsetBytes);

  static native int memfd_create(String name, int flags);

  static native long mmap(
      long address, long lengthBytes, int protection, int flags, int fd, long offsetBytes);

  static native int munmap(long address, long lengthBytes);

  static native int mprotect(long address, long lengthBytes, int protection);

  static native int tgkill(int processId, int threadId, int signal);

  static native int madvise(long address, long lengthBytes, int advice);

  static native int mincore(long address, long lengthBytes, long vectorAddress);

  static native int eventfd(int initialValue, int flags);

  static native int epoll_create1(int flags);

  static native int epoll_ctl(int epollFd, int operation, int fd, long eventAddress);

  static native int epoll_wait(int epollFd, long eventsAddress, int eventCountMax, int timeoutMs);

  static native int poll(long pollFdsAddress, long count, int timeoutMs);

  static native int socket(int domain, int type, int protocol);

  static native int socketpair(int domain, int type, int protocol, long fdsAddress);

  static native int bind(int fd, long address, int lengthBytes);

  static native int listen(int fd, int backlog);

  static native int connect(int fd, long address, int lengthBytes);

  static native int accept4(int fd, long address, long lengthAddress, int flags);

  static native int shutdown(int fd, int how);

  static native int setsockopt(int fd, int level, int option, long valueAddress, int lengthBytes);

  static native int getsockopt(
      int fd, int level, int option, long valueAddress, long lengthAddress);

  static native long sendmsg(int fd, long messageAddress, int flags);

  static native long recvmsg(int fd, long messageAddress, int flags);

  static native int sendmmsg(int fd, long messagesAddress, int count, int flags);

  static native int recvmmsg(
      int fd, long messagesAddress, int count, int flags, long timeoutAddress);

  static native int kill(int pid, int signal);

  static native int getpid();

  static native int geteuid();

  static native int execve(String path, long argumentsAddress, long environmentAddress);

  static native int waitpid(int pid, long statusAddress, int options);

  static native int sched_setaffinity(int tid, long lengthBytes, long maskAddress);

  static native int clone(long functionAddress, long stackAddress, int flags, long argument);

  static native int setpriority(int which, int who, int priority);

  static native int gettid();

  static native int sched_setscheduler(int tid, int policy, long parameterAddress);

  static native int pthread_mutexattr_init(long attributeAddress);

  static native int pthread_mutexattr_setpshared(long attributeAddress, int shared);

  static native int pthread_mutexattr_setrobust(long attributeAddress, int robust);

  static native int pthread_mutexattr_settype(long attributeAddress, int type);

  static native int pthread_mutex_init(long mutexAddress, long attributeAddress);

  static native int pthread_mutex_trylock(long mutexAddress);

  static native int pthread_mutex_clocklock(long mutexAddress, int clockId, long timespecAddress);

  static native int pthread_mutex_consistent(long mutexAddress);

  static native int pthread_mutex_unlock(long mutexAddress);

  static native int malloc_trim(long keptBytes);

  static native long syscall(long number, long a, long b, long c, long d, long e, long f);
}
