"""The operators of an ONNX file, read from the file itself."""

import collections


def operators(content):
    """{operator: how many} of an ONNX file's bytes, with those within its loops."""
    import onnx

    def counted(graph):
        count = collections.Counter(node.op_type for node in graph.node)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    count += counted(attribute.g)
        return count

    return dict(sorted(counted(onnx.load_model_from_string(content).graph).items()))
