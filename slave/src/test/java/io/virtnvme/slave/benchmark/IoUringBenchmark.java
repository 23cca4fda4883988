package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.IoUring;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/** Requests to the kernel, submitted and reaped in one system call. */
public class IoUringBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 32;
  private static final int REQUEST_BYTES = 4096;

  /** Requests for one call. */
  @Param({"1", "32"})
  public int batch;

  private final IoUring ring = new IoUring(OPERATIONS, OPERATIONS);
  private final RequestNumbers blocks = new RequestNumbers(4096);
  private SharedMemory file;
  private SharedMemory buffers;

  /** A file on tmpfs, all of it there. */
  @Setup
  public void open() {
    final long fileBytes = 4096L * REQUEST_BYTES;
    file = new SharedMemory(fileBytes);
    buffers = new SharedMemory((long) OPERATIONS * REQUEST_BYTES);
    Mem.fill(file.address(), fileBytes, (byte) 1);
    Mem.fill(buffers.address(), (long) OPERATIONS * REQUEST_BYTES, (byte) 0);
  }

  /** Ends everything. */
  @TearDown
  public void close() {
    ring.close();
    buffers.close();
    file.close();
  }

  /** What the way to the kernel and back costs. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int nop() {
    int results = 0;
    for (int count = 0; count < OPERATIONS; count += batch) {
      for (int i = 0; i < batch; i++) {
        ring.prepare(IoUring.OP_NOP, -1, 0, 0, 0, 0, 0, i);
      }
      results += submitAndReap(0);
    }
    return results;
  }

  /** Random reads of 4 KiB from tmpfs, which the kernel may leave to a thread of its own. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int read() {
    int results = 0;
    for (int count = 0; count < OPERATIONS; count += batch) {
      for (int i = 0; i < batch; i++) {
        ring.prepare(
            IoUring.OP_READ,
            file.fd(),
            (long) blocks.next() * REQUEST_BYTES,
            buffers.address() + (long) i * REQUEST_BYTES,
            REQUEST_BYTES,
            0,
            0,
            i);
      }
      results += submitAndReap(REQUEST_BYTES);
    }
    return results;
  }

  private int submitAndReap(final int expectedResult) {
    final int submitted = ring.submitAndReap(batch);
    if (submitted != batch) {
      throw new IllegalStateException("submitted: " + submitted + " of " + batch);
    }
    int reaped = 0;
    for (long entry = ring.peek(); entry != 0; entry = ring.peek()) {
      if (IoUring.result(entry) != expectedResult) {
        throw new IllegalStateException("result: " + IoUring.result(entry));
      }
      ring.advance();
      reaped++;
    }
    if (reaped != batch) {
      throw new IllegalStateException("reaped: " + reaped + " of " + batch);
    }
    return reaped;
  }
}
