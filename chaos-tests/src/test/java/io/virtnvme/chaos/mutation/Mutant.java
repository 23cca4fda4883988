package io.virtnvme.chaos.mutation;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * Compiles the one file with the fault in it against the classes of the tree, into a folder of its
 * own. Compile-time constants of the file live on in classes that were compiled before: no fault
 * may be in one.
 */
final class Mutant {
  private static final class Source extends SimpleJavaFileObject {
    private final String text;

    Source(final String className, final String text) {
      super(
          URI.create("string:///" + className.replace('.', '/') + Kind.SOURCE.extension),
          Kind.SOURCE);
      this.text = text;
    }

    @Override
    public CharSequence getCharContent(final boolean ignoreEncodingErrors) {
      return text;
    }
  }

  private Mutant() {}

  /**
   * Compiles a fault.
   *
   * @throws IllegalStateException with what the compiler says when it does not compile
   */
  static void compile(final Mutation mutation, final Tree tree, final Path classesFolder)
      throws IOException {
    final JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    final StringWriter complaints = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      final List<String> options =
          List.of(
              "-proc:none",
              "-nowarn",
              "-d",
              classesFolder.toString(),
              "-classpath",
              tree.classPath(mutation.module()));
      final List<JavaFileObject> sources =
          List.of(new Source(mutation.className(), mutation.apply(tree.root())));
      if (!compiler.getTask(complaints, files, null, options, null, sources).call()) {
        throw new IllegalStateException(mutation.name() + " does not compile: " + complaints);
      }
    }
  }
}
