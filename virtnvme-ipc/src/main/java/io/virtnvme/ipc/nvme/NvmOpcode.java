package io.virtnvme.ipc.nvme;

/** Opcodes on I/O queues (NVM command set specification 1.0, figure 21). */
public final class NvmOpcode {
  public static final int FLUSH = 0x00;
  public static final int WRITE = 0x01;
  public static final int READ = 0x02;
  public static final int WRITE_UNCORRECTABLE = 0x04;
  public static final int COMPARE = 0x05;
  public static final int WRITE_ZEROES = 0x08;
  public static final int DATASET_MANAGEMENT = 0x09;
  public static final int VERIFY = 0x0C;

  private NvmOpcode() {}
}
