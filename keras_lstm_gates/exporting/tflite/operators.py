"""The operators of each signature of a TFLite file, read from the file itself."""

import collections


def operators(content):
    """{signature: {operator: how many}} of a TFLite file's bytes, with those within its loops and branches.

    Example:
        `{"step": {"FULLY_CONNECTED": 3, "LOGISTIC": 3, ...}}`; an operator outside TFLite's own is "CUSTOM <name>".
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    spelled = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}

    def named(operator):
        code = model.operatorCodes[operator.opcodeIndex]
        name = spelled[max(code.builtinCode, code.deprecatedBuiltinCode)]
        return f"CUSTOM {code.customCode.decode()}" if name == "CUSTOM" else name

    def counted(graph, seen):
        count = collections.Counter()
        for operator in model.subgraphs[graph].operators:
            count[named(operator)] += 1
            options = operator.builtinOptions
            inner = [
                getattr(options, name)
                for name in ("condSubgraphIndex", "bodySubgraphIndex", "thenSubgraphIndex", "elseSubgraphIndex")
                if hasattr(options, name)
            ]
            for other in set(inner) - seen:
                count += counted(other, seen | {graph})
        return count

    return {
        signature.signatureKey.decode(): dict(sorted(counted(signature.subgraphIndex, set()).items()))
        for signature in model.signatureDefs
    }
